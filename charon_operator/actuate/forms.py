"""Forms: a change of a Deployment's form becomes one patch, which says nothing else of it.

Reads: a `FormWrite`. Gives: a strategic merge patch. Never: a container, a selector or an
annotation that is not the form's own; a write on another version than the one decided on.
"""

from collections.abc import Mapping
from typing import Any

from charon_operator import names
from charon_operator.model.form import GPU, Form, FormWrite, came_from_text

# One old pod goes before a new one comes. Without the type, so that Recreate stays refused.
_ONE_BY_ONE: Mapping[str, Any] = {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}


def patch(write: FormWrite) -> Mapping[str, Any]:
    """The strategic merge patch of a Deployment; a null removes what the form has not."""
    spec = {"replicas": write.replicas, "template": {"spec": _pods(write.form)}}
    return {
        "metadata": {
            "resourceVersion": write.resource_version,
            "annotations": {names.CAME_FROM: came_from_text(write.came_from)},
        },
        "spec": spec if write.surges else {**spec, "strategy": _ONE_BY_ONE},
    }


def _pods(form: Form) -> Mapping[str, Any]:
    devices = {GPU: str(form.gpus) if form.gpus else None}
    # The API server wants both, and the same.
    resources = {"limits": devices, "requests": devices}
    return {
        "runtimeClassName": form.runtime_class_name or None,
        "nodeSelector": {names.LABEL_GPU_PRODUCT: form.product or None},
        "containers": [{"name": form.container, "resources": resources}],
    }
