"""Fixtures of tests that need the real control plane: one testbed a session, one namespace a test.

The programs are built before the first test runs (minutes on a machine that never built them), so
that no test's time limit pays for it.
"""

import contextlib
import json
import pathlib
import secrets
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest

from charon_operator import errors, names, testbed
from charon_operator.testbed import build, parts, progress
from charon_operator.testbed.node import needs

_POLL_S = 0.1

T = TypeVar("T")


def wait_until(predicate: Callable[[], T], what: str, timeout_s: float = 30.0) -> T:
    """Polls until the predicate gives something true, and gives that; says what was waited for."""
    deadline = time.monotonic() + timeout_s
    while True:
        seen = predicate()
        if seen:
            return seen
        if time.monotonic() > deadline:
            pytest.fail(f"waited {timeout_s:.0f} s for {what}; last seen: {seen!r}", pytrace=True)
        time.sleep(_POLL_S)


def wait_served(bed: testbed.Testbed, crd: str) -> None:
    """Waits until the API server serves a CRD: Established says so a moment too early."""
    bed.kubectl("wait", "--for=condition=Established", f"crd/{crd}", "--timeout=30s")

    def listed() -> bool:
        with contextlib.suppress(errors.TestbedError):
            bed.kubectl("get", crd, "-A")
            return True
        return False

    wait_until(listed, f"{crd} to be listed")


def wait_may(
    bed: testbed.Testbed, user: str, *what: str, namespace: str = "default", may: bool = True
) -> None:
    """Waits until rights given or taken count: the API server takes them up after it stored them.

    Args:
        what: as `kubectl auth can-i` has it: a verb, a resource, perhaps --subresource.
    """
    asked = ("auth", "can-i", *what, f"--as={user}", "-n", namespace)
    wanted = "yes" if may else "no"
    wait_until(
        lambda: wanted in bed.kubectl(*asked, check=False).split(), f"{user}: {what}: {wanted}"
    )


def ask(bed: testbed.Testbed, query: str, tenant: str | None = "charon") -> list[dict[str, Any]]:
    """The instant vector that Mimir answers a query with."""
    arguments = urllib.parse.urlencode({"query": query})
    headers = {"X-Scope-OrgID": tenant} if tenant else {}
    request = urllib.request.Request(
        f"{bed.mimir_url}/prometheus/api/v1/query?{arguments}", headers=headers
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return result


def pytest_collection_finish(session: pytest.Session) -> None:
    needed = any(item.get_closest_marker("testbed") for item in session.items)
    if not needed or session.config.option.collectonly:
        return
    with_node = any(item.get_closest_marker("node") for item in session.items)
    wanted = [*parts.ALL, *(parts.REAL_NODES if with_node and not needs.missing() else ())]
    capture = session.config.pluginmanager.getplugin("capturemanager")
    try:
        # The first build takes minutes: whoever waits must see it.
        with capture.global_and_fixture_disabled(), progress.shown() as shows:
            build.programs(wanted, shows=shows)
    except errors.TestbedError as error:
        pytest.exit(f"the testbed cannot be built: {error}", returncode=1)


@pytest.fixture(scope="session")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[testbed.Testbed]:
    """A testbed with fake nodes (one with GPUs) and metrics, in a folder of this run."""
    nodes = [
        testbed.Node(name="node-0", cpu="64", pods=2000),
        testbed.Node(name="node-1", cpu="37", pods=200, extended={"nvidia.com/gpu": "4"}),
    ]
    folder: pathlib.Path = tmp_path_factory.mktemp("testbed")
    with testbed.start(testbed.Config(folder=folder, nodes=nodes)) as running:
        yield running


@pytest.fixture(scope="session")
def real_bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[testbed.Testbed]:
    """A testbed with a real node beside a fake one, and metrics; skipped where none can run."""
    if needs.missing():
        pytest.skip(needs.missing())
    nodes = [testbed.Node(name="node-0"), testbed.RealNode()]
    folder: pathlib.Path = tmp_path_factory.mktemp("real")
    with testbed.start(testbed.Config(folder=folder, nodes=nodes)) as running:
        yield running


@pytest.fixture
def namespace(bed: testbed.Testbed) -> Iterator[str]:
    """A fresh namespace; deleted after the test, without waiting for it."""
    name = f"test-{secrets.token_hex(4)}"
    bed.kubectl("create", "namespace", name)
    bed.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=30s")
    yield name
    bed.kubectl("delete", "namespace", name, "--wait=false")
    # Nobody finalises the plant's pods once the test's plant is gone.
    driven = f"--selector={names.LABEL_PLANT_DRIVEN}=true"
    bed.kubectl("delete", "pods", driven, "-n", name, "--force", "--wait=false", check=False)
