"""Why kopf is an informer and nothing else: the quick rows of its table, on the real API server."""

from collections.abc import Iterator
from typing import Any

import pytest

from charon_operator import testbed
from tests.operator import kopf_table


@pytest.fixture(scope="module")
def bench(
    bed: testbed.Testbed, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[kopf_table.Bench]:
    with kopf_table.bench(bed, tmp_path_factory.mktemp("kopf")) as made:
        yield made


@pytest.mark.testbed
@pytest.mark.parametrize(
    "probe", [p for p in kopf_table.PROBES if p.cheap], ids=lambda probe: probe.name
)
def test_kopf_when_probed_then_it_does_what_the_table_says(
    probe: kopf_table.Probe, bench: kopf_table.Bench
) -> None:
    assert probe.look(bench) == probe.believed


def test_table_when_a_row_differs_then_the_exit_code_says_so() -> None:
    same, other = (kopf_table.Probe(f"says {word}", "a", lambda _, w=word: w) for word in "ab")
    bench: Any = None
    assert kopf_table.show([same], bench) == 0
    assert kopf_table.show([other, same], bench) == 1
