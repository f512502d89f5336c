"""The shape of a Deployment as the API server gives it, and the forms that it is in."""

from typing import Any

import pytest

from charon_operator.model import form
from charon_operator.model.form import Form, Shape

APP = Form(container="app", gpus=2, product="A100", runtime_class_name="nvidia")


def body(spec: dict[str, Any], pods: dict[str, Any], **annotations: str) -> dict[str, Any]:
    return {
        "metadata": {"annotations": annotations},
        "spec": {**spec, "template": {"spec": pods}},
    }


def container(name: str, **limits: str) -> dict[str, Any]:
    return {"name": name, "resources": {"limits": limits}}


GPU = {"nvidia.com/gpu": "2"}
PODS = {
    "containers": [container("app", cpu="1", **GPU), container("side")],
    "nodeSelector": {"disk": "fast", "nvidia.com/gpu.product": "A100"},
    "runtimeClassName": "nvidia",
}


def test_what_a_change_stands_on_is_read() -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    spec = {"strategy": rolling, "paused": True}
    found = form.shape(body(spec, PODS, **{"charon.dev/came-from": "cpu=3"}))
    assert found == Shape(
        (("app", 2), ("side", 0)), "A100", "nvidia", surge=1, paused=True, came_from=("cpu", 3)
    )
    assert found.is_in(APP)


@pytest.mark.parametrize(
    "other",
    [{"gpus": 1}, {"product": ""}, {"runtime_class_name": ""}, {"container": "side"},
     {"container": "gone", "gpus": 0}],
)  # fmt: skip
def test_a_form_is_all_that_it_says(other: dict[str, Any]) -> None:
    assert not form.shape(body({}, PODS)).is_in(APP.model_copy(update=other))


@pytest.mark.parametrize("found", [{}, {"spec": None}, {"spec": {"template": "x"}}])
def test_what_nobody_can_make_sense_of_counts_as_not_there(found: dict[str, Any]) -> None:
    assert form.shape(found) == Shape(())


@pytest.mark.parametrize("text", ["", "cpu", "cpu=", "=3", "cpu=-3", "cpu=x"])
def test_a_way_back_that_makes_no_sense_is_none(text: str) -> None:
    assert form.shape(body({}, PODS, **{"charon.dev/came-from": text})).came_from is None


def test_a_way_back_is_read_as_it_was_written() -> None:
    text = form.came_from_text(("a=b", 12))
    assert form.shape(body({}, PODS, **{"charon.dev/came-from": text})).came_from == ("a=b", 12)


@pytest.mark.parametrize(
    ("surge", "replicas", "most"),
    [("25%", 1, 1), ("25%", 4, 1), ("25%", 5, 2), ("0%", 9, 0), (3, 1, 3)],
)
def test_a_percentage_of_pods_is_rounded_up(surge: int | str, replicas: int, most: int) -> None:
    assert Shape((), surge=surge).surging(replicas) == most
