"""Which pods of the real node are scraped, where, and with which labels."""

import copy
from typing import Any

import pytest

from charon_operator.testbed import podtargets

ASKS = {"prometheus.io/scrape": "true", "prometheus.io/port": "9100"}
META = {"name": "web-1", "namespace": "shop", "annotations": ASKS, "labels": {"app": "web"}}
POD: dict[str, Any] = {
    "metadata": META,
    "status": {"phase": "Running", "podIP": "10.213.7.130"},
}


def pod(where: str, **change: Any) -> dict[str, Any]:
    """The pod with a part of its metadata, status or annotations otherwise."""
    changed = copy.deepcopy(POD)
    part = changed["metadata"]["annotations"] if where == "annotations" else changed[where]
    part.update({key.replace("_", "/"): value for key, value in change.items()})
    return changed


def test_pod_when_it_asks_then_is_a_target_with_its_namespace_name_and_app() -> None:
    assert podtargets.target(POD) == {
        "address": "10.213.7.130:9100",
        "labels": {"job": "pods", "namespace": "shop", "pod": "web-1", "app": "web"},
    }


def test_pod_when_it_names_a_path_then_that_is_asked() -> None:
    found = podtargets.target(pod("annotations", **{"prometheus.io_path": "/stats"})) or {}
    assert found["labels"]["__metrics_path__"] == "/stats"


def test_pod_when_it_has_no_label_app_then_no_label_is_made_up() -> None:
    found = podtargets.target(pod("metadata", labels=None)) or {}
    assert "app" not in found["labels"]


@pytest.mark.parametrize(
    "other",
    [
        pod("metadata", annotations=None),
        pod("annotations", **{"prometheus.io_scrape": "false"}),
        pod("annotations", **{"prometheus.io_port": "metrics"}),
        pod("status", phase="Succeeded"),
        pod("status", podIP=None),
    ],
    ids=["no annotations", "does not ask", "no port", "is over", "no address yet"],
)
def test_pod_when_it_does_not_ask_or_cannot_be_reached_then_is_no_target(
    other: dict[str, Any],
) -> None:
    assert podtargets.target(other) is None
