"""From a change of form to the one patch that makes it."""

from dataclasses import replace

import pytest

from charon_operator import names
from charon_operator.actuate import forms
from charon_operator.model.form import Form, FormWrite

A100 = Form(container="app", gpus=2, product="A100", runtime_class_name="nvidia")
CPU = Form(container="app", gpus=0)
WRITE = FormWrite(A100, 3, True, ("cpu", 12), "7")


@pytest.mark.parametrize(
    ("form", "pods"),
    [
        (
            A100,
            {
                "runtimeClassName": "nvidia",
                "nodeSelector": {"nvidia.com/gpu.product": "A100"},
                "containers": [
                    {
                        "name": "app",
                        "resources": {
                            "limits": {"nvidia.com/gpu": "2"},
                            "requests": {"nvidia.com/gpu": "2"},
                        },
                    }
                ],
            },
        ),
        (
            CPU,
            {
                "runtimeClassName": None,
                "nodeSelector": {"nvidia.com/gpu.product": None},
                "containers": [
                    {
                        "name": "app",
                        "resources": {
                            "limits": {"nvidia.com/gpu": None},
                            "requests": {"nvidia.com/gpu": None},
                        },
                    }
                ],
            },
        ),
    ],
    ids=["all of it is set", "what it has not is removed"],
)
def test_a_form_is_the_whole_of_what_is_said_of_pods(form: Form, pods: object) -> None:
    said = forms.patch(replace(WRITE, form=form))
    assert said["spec"] == {"replicas": 3, "template": {"spec": pods}}


def test_the_way_back_and_the_version_go_with_it() -> None:
    assert forms.patch(WRITE)["metadata"] == {
        "resourceVersion": "7",
        "annotations": {names.CAME_FROM: "cpu=12"},
    }


def test_a_surge_that_cannot_fit_is_none_in_the_same_write() -> None:
    assert forms.patch(replace(WRITE, surges=False))["spec"]["strategy"] == {
        "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}
    }
