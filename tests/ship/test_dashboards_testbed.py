"""Every query of every dashboard, asked of a real Mimir that a real operator's run has filled.

Each panel must have data and no query may be refused; variables and intervals are put in as
Grafana puts them in (there is no Grafana here). The operator's metrics are its own, scraped from
its process. The series of node-exporter, cAdvisor and the DCGM exporter are fixtures with the
exporters' names and labels (`tests.ship.dashboards.world`): no GPU and no such exporter ran. What
pods have of CPU and memory is said by a stand-in for a kubelet (`tests.ship.dashboards.sized`).
"""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest

from charon_operator import testbed
from tests.ship import dashboards
from tests.ship.dashboards import asking, reading, sized, world
from tests.testbed_fixtures import wait_until

pytestmark = [pytest.mark.testbed, pytest.mark.timeout(300)]

BOARDS = dashboards.boards()
# The load's wave takes a minute: until then something may not have happened yet.
_WAIT_S = 180.0


@pytest.fixture(scope="module")
def filled(
    bed: testbed.Testbed, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[float, str]]:
    """When the run began, s since 1970, and the namespace of its apps."""
    began_s = time.time()
    with world.filled(bed, tmp_path_factory.mktemp("boards")) as namespace:
        yield began_s, namespace


@pytest.fixture(scope="module")
def chosen(filled: tuple[float, str]) -> dict[str, Any]:
    # Of several namespaces that another test may have left, ours; on the fleet's board all.
    return {"namespace": filled[1], "app": sized.NAME}


def store(bed: testbed.Testbed, began_s: float) -> reading.Store:
    return reading.Store(f"{bed.mimir_url}/prometheus", bed.tenant, began_s, time.time())


@pytest.mark.parametrize("name", BOARDS)
def test_every_query_of_every_panel_has_data(
    name: str, bed: testbed.Testbed, filled: tuple[float, str], chosen: dict[str, Any]
) -> None:
    # One app is looked at: what one has no use for, the other has. On other boards all are.
    looks = [{**chosen, "app": app} for app in world.SHOWN] if name == "app" else [None]
    lacking: list[set[tuple[str, str]]] = []

    def complete() -> bool:
        with store(bed, filled[0]) as asked:
            lacking.extend(asking.silent(asked, BOARDS[name], look) for look in looks)
        # A table tells of now: what it once had is enough.
        lacking[:] = [set.intersection(*lacking)]
        return not lacking[0]

    # What lacked data is what the assertion shows.
    with contextlib.suppress(pytest.fail.Exception):
        wait_until(complete, "data in every panel", _WAIT_S)
    assert lacking == [set()]


ANNOTATED = {
    "replicas": ("steady", "Raised", "Lowered", 1, 10),
    "sizes": (sized.NAME, "Pods larger", "Pods smaller", 0.1, 1),
}


@pytest.mark.parametrize("name", ANNOTATED)
def test_decisions_are_annotated_with_what_they_moved_to(
    name: str, bed: testbed.Testbed, filled: tuple[float, str], chosen: dict[str, Any]
) -> None:
    app, up, down, least, most = ANNOTATED[name]
    chosen = {**chosen, "app": app}

    def moved_to(name: str) -> set[float]:
        query = reading.annotations(BOARDS["app"])[name]
        with store(bed, filled[0]) as asked:
            found = asked.answer(query, asked.values(BOARDS["app"], chosen))
        return {float(one.labels["to"]) for one in found}

    raised = wait_until(lambda: moved_to(up), f"annotated: {up}", _WAIT_S)
    lowered = wait_until(lambda: moved_to(down), f"annotated: {down}", _WAIT_S)
    assert max(raised) <= most
    assert min(lowered) >= least


def shown_gpus(bed: testbed.Testbed, began_s: float, title: str) -> list[list[reading.Series]]:
    """Answers to the queries of a panel on the board of nodes."""
    (panel,) = [one for one in reading.panels(BOARDS["nodes"]) if one.title == title]
    with store(bed, began_s) as asked:
        values = asked.values(BOARDS["nodes"])
        return [asked.answer(query, values) for query in panel.queries]


def test_gpu_load_is_the_profiled_one_and_the_sampled_one_only_without_it(
    bed: testbed.Testbed, filled: tuple[float, str]
) -> None:
    names = {
        f"{node} GPU {gpu}" + (f" MIG {cut}" if cut else "") for node, gpu, cut in world.gpus()
    }

    def every() -> dict[str, reading.Series]:
        (shown,) = shown_gpus(bed, filled[0], "GPU busy")
        found = {one.name: one for one in shown}
        return found if set(found) >= names else {}

    series = wait_until(every, "every GPU")
    assert set(series) == names
    # Under MIG the sampled load is 0; the card without profiling counters has no other.
    for name in ("gpu-mig GPU 0 MIG 3", "gpu-desk GPU 0"):
        assert all(0 < value <= 1 for _, value in series[name].points), name


def test_gpu_that_nobody_holds_is_not_shown_as_held_by_its_exporter(
    bed: testbed.Testbed, filled: tuple[float, str]
) -> None:
    def held() -> set[tuple[str, str, str]]:
        (found,) = shown_gpus(bed, filled[0], "Who holds a GPU")
        return {(one.labels["node"], one.labels["gpu"], one.labels["pod"]) for one in found}

    wanted = {
        ("gpu-a", "0", "consumer-7d9f-abcde"),
        ("gpu-mig", "0", "train-0"),
        ("gpu-desk", "0", "consumer-7d9f-fghij"),
    }
    wait_until(lambda: held() >= wanted, "GPUs that are held")
    assert held() == wanted


def test_gpus_of_pods_that_do_not_run_are_not_given_out(
    bed: testbed.Testbed, filled: tuple[float, str]
) -> None:
    def counted() -> list[dict[str, float]]:
        columns = shown_gpus(bed, filled[0], "GPUs given out")
        return [{one.labels["node"]: one.points[-1][1] for one in column} for column in columns]

    there = {"gpu-a": 2, "gpu-mig": 2, "gpu-desk": 1, "gpu-free": 1}
    asked = {"gpu-a": 1, "gpu-mig": 1, "gpu-desk": 1, "gpu-free": 0}
    wait_until(lambda: counted() == [there, asked], "GPUs that are given out")
