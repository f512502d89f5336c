"""Who else moves a variant's workload stops our writes to all of the app, until it is gone."""

import json

import pytest

from charon_operator.names import ConditionType, Reason
from charon_operator.testbed import operator
from tests.faults import audit, manifests
from tests.gpu_bed import template
from tests.placement.manifests import Variant
from tests.placement.stage import Ground

pytestmark = pytest.mark.testbed
USER = f"system:serviceaccount:{operator.NAMESPACE}:{operator.ACCOUNT}"
CONFLICT = ConditionType.OWNERSHIP_CONFLICT


def test_an_hpa_on_one_variant_stops_our_writes_to_all_and_is_named_until_it_goes(
    ground: Ground,
) -> None:
    ground.node(6)
    on_one = template(product=ground.product)
    app = ground.app("shared", Variant("gpu", on_one, most=3), Variant("dear", on_one, cost=9),
                     load=200)  # fmt: skip
    app.wait_ready(gpu=2, dear=0)
    app.apply(manifests.hpa("gpu", 3))
    found = app.wait_condition(CONFLICT, "True", Reason.HPA_OWNS_TARGET)
    assert "gpu-hpa" in found["message"]
    assert "gpu-hpa" in json.dumps(app.status()["conflicts"])
    log = audit.Log.from_now(ground.bed.audit_log)
    # Its own write: its minimum.
    app.wait_ready(gpu=3, dear=0)
    app.load(500)
    app.wait_turns(4)
    assert app.asked() == {"gpu": 3, "dear": 0}
    assert [str(one) for one in log.writes(USER, app.namespace) if one.is_scale] == []
    ground.bed.kubectl("delete", "hpa", "gpu-hpa", "-n", app.namespace)
    app.wait_condition(CONFLICT, "False")
    app.wait_ready(gpu=3, dear=2)
