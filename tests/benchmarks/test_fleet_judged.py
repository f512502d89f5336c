"""The benchmark of the fleet says by its exit code whether what is promised was kept."""

from typing import Any

import pytest

from tests.benchmarks import fleet


def result(**idle: Any) -> dict[str, Any]:
    """What `fleet.one_size` gives, within the limits but for what is given."""
    kept = {"cores": {"operator": 0.05}, "resident_mib": 120.0, "writes": {"leases": 40}}
    return {"apps": 1000, "idle": {**kept, **idle}, "all_reading_to_patch_s": {"max": 3.0}}


def test_result_when_within_the_limits_then_nothing_is_said() -> None:
    assert fleet.excesses(result()) == []


@pytest.mark.parametrize(
    ("over", "said"),
    [
        (result(cores={"operator": 0.11}), "cores is 0.11, 0.1 is promised"),
        (result(resident_mib=151.0), "resident_mib is 151, 150 is promised"),
        (result(writes={"chargedapps/status": 3}), "3 writes of chargedapps/status at rest"),
        ({**result(), "all_reading_to_patch_s": {"max": 5.5}}, "to_patch_s is 5.5, 5 is promised"),
    ],
    ids=["CPU", "memory", "writes", "patches"],
)
def test_result_when_over_a_limit_then_it_is_named(over: dict[str, Any], said: str) -> None:
    [sentence] = fleet.excesses(over)
    assert said in sentence
    assert sentence.startswith("1000 apps")


def test_arguments_when_none_are_given_then_the_promised_size_is_among_them() -> None:
    chosen = fleet.arguments([])
    assert fleet.JUDGED_APPS in [int(text) for text in chosen.apps.split(",")]


def test_ratios_are_of_the_second_to_the_first() -> None:
    plain, sized = (
        {**result(cores={"operator": cores}), "under_control_s": took_s}
        for cores, took_s in ((0.04, 4.0), (0.1, 5.0))
    )
    assert fleet.ratios(plain, sized) == {
        "idle_cores_operator": 2.5,
        "idle_resident_mib": 1.0,
        "under_control_s": 1.25,
        "all_reading_to_patch_s": 1.0,
    }


def test_ratios_when_the_fleet_was_only_looked_at_then_are_of_that() -> None:
    rest = {**result(), "under_control_s": 4.0}
    del rest["all_reading_to_patch_s"]
    assert "all_reading_to_patch_s" not in fleet.ratios(rest, rest)
    assert fleet.excesses(rest) == []


def test_requests_are_counted_by_app_and_minute_but_for_the_lease() -> None:
    pods = [{"verb": "list", "objectRef": {"resource": "pods"}}] * 6
    resize = {"verb": "patch", "objectRef": {"resource": "pods", "subresource": "resize"}}
    lease = {"verb": "update", "objectRef": {"resource": "leases"}}
    found = fleet.per_app_minute([*pods, resize, lease, {"verb": "get"}], 2, 30.0)
    assert found == {"list pods": 6.0, "patch pods/resize": 1.0, "get APIs": 1.0}
