"""From a decided size to patches: the form that is kept, and which pods are next."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charon_operator.actuate import resize
from charon_operator.actuate.resize import Refused
from charon_operator.model.decision import Resize
from charon_operator.model.sizes import Resizing, Size, SizedPod, Sizes, Span
from charon_operator.names import Reason

MI = 2**20
WAS, LARGER = Size(200, 128 * MI), Size(400, 128 * MI)
MORE = Size(400, None)


def pod(name: str = "web-1", asked: Size = WAS, **more: object) -> SizedPod:
    whole = SizedPod(
        name,
        f"uid-{name}",
        "7",
        running=True,
        ready=True,
        asked=asked,
        actual=asked,
        cpu=Span(100, 200),
        memory=Span(64 * MI, 128 * MI),
    )
    return replace(whole, **more)  # type: ignore[arg-type]


def decided(final: Size | None = MORE, **more: object) -> Resize:
    made = Resize("id", True, "app", Size(200, None), final, Reason.RAISED, "more")
    return replace(made, **more)  # type: ignore[arg-type]


def named(
    *pods: SizedPod, minimum: int | None = None, of: Resize | None = None
) -> list[tuple[str, Size]]:
    found = resize.writes(of or decided(), Sizes(WAS, pods), minimum)
    return [(write.pod.name, write.size) for write in found]


def resources(form: SizedPod, size: Size) -> object:
    found = resize.patch(form, "app", size)
    assert not isinstance(found, Refused), found
    (container,) = found["spec"]["containers"]
    assert container["name"] == "app"
    return container["resources"]


FORMS = {
    "Burstable keeps its proportion": (
        (Span(100, 200), Span(64 * MI, 128 * MI)),
        Size(500, None),
        {"requests": {"cpu": "250m"}, "limits": {"cpu": "500m"}},
    ),
    "Guaranteed stays equal": (
        (Span(200, 200), Span(MI, MI)),
        Size(1000, 2 * MI),
        {
            "requests": {"cpu": "1", "memory": "2Mi"},
            "limits": {"cpu": "1", "memory": "2Mi"},
        },
    ),
    "only requested stays without a limit": (
        (Span(100, None), Span(MI, None)),
        Size(300, 2 * MI),
        {"requests": {"cpu": "300m", "memory": "2Mi"}},
    ),
    "close to equal stays below": (
        (Span(999, 1000), Span()),
        Size(10, None),
        {"requests": {"cpu": "9m"}, "limits": {"cpu": "10m"}},
    ),
    "a small share stays a request": (
        (Span(1, 1000), Span()),
        Size(50, None),
        {"requests": {"cpu": "1m"}, "limits": {"cpu": "50m"}},
    ),
    "what is not set stays so": (
        (Span(100, 200), Span()),
        Size(400, 5 * MI),
        {"requests": {"cpu": "200m"}, "limits": {"cpu": "400m"}},
    ),
}


@pytest.mark.parametrize(("spans", "size", "wanted"), FORMS.values(), ids=FORMS.keys())
def test_patch_keeps_the_form(spans: tuple[Span, Span], size: Size, wanted: object) -> None:
    assert resources(pod(cpu=spans[0], memory=spans[1]), size) == wanted


def test_patch_is_good_for_that_very_pod_and_version() -> None:
    found = resize.patch(pod(), "app", Size(400, None))
    assert not isinstance(found, Refused)
    assert found["metadata"] == {"uid": "uid-web-1", "resourceVersion": "7"}


def test_size_that_leaves_no_room_below_is_refused_with_a_reason() -> None:
    found = resize.patch(pod(), "app", Size(1, None))
    assert isinstance(found, Refused)
    assert "cpu of 1m leaves no room for a smaller request" in found.detail


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.integers(2, 10**6))
def test_class_is_kept_whatever_the_size(request_m: int, limit_m: int, to: int) -> None:
    request_m = min(request_m, limit_m)
    form = Span(request_m, limit_m)
    kept = resize._scaled(form, to)
    assert kept is not None
    assert kept.request is not None
    assert kept.limit == to
    assert (kept.request == kept.limit) is (request_m == limit_m)
    assert (kept.request > 0) is (request_m > 0)


def test_every_running_pod_of_another_size_is_patched() -> None:
    pods = [
        pod("a"),
        pod("b", LARGER),
        pod("c", running=False),
        pod("d", refusal="no such container"),
        pod("e", Size(100, 128 * MI)),
    ]
    assert named(*pods) == [("a", LARGER), ("e", LARGER)]


@pytest.mark.parametrize("of", [decided(acts=False), decided(None)], ids=["Advisory", "unknown"])
def test_nothing_is_patched_without_leave_or_a_size(of: Resize) -> None:
    assert named(pod(), of=of) == []


def test_pod_that_is_given_back_goes_to_its_actual_size_and_the_others_go_on() -> None:
    stuck = pod("a", LARGER, actual=WAS, resizing=Resizing.DEFERRED)
    of = decided(give_back=("a",))
    assert named(stuck, pod("b"), of=of) == [
        ("a", WAS),
        ("b", LARGER),
    ]
    given = replace(stuck, asked=WAS)
    assert named(given, of=of) == []
    assert named(replace(stuck, actual=None), of=of) == []


RESTARTING = {"restarts_on_cpu": True}


def test_pods_that_restart_are_patched_one_at_a_time() -> None:
    pods = [pod(name, restarts_on_cpu=True) for name in "abc"]
    assert [name for name, _ in named(*pods)] == ["a"]
    begun = replace(pods[0], asked=LARGER, resizing=Resizing.IN_PROGRESS)
    assert named(begun, *pods[1:]) == []
    down = replace(begun, resizing=Resizing.SETTLED, ready=False)
    assert named(down, *pods[1:]) == []
    assert [name for name, _ in named(replace(down, ready=True), *pods[1:])] == ["b"]


@pytest.mark.parametrize(("minimum", "patched"), [(None, 1), (2, 1), (3, 0)])
def test_pods_that_restart_heed_the_budget(minimum: int | None, patched: int) -> None:
    pods = [pod(name, restarts_on_cpu=True) for name in "abc"]
    assert len(named(*pods, minimum=minimum)) == patched


def test_only_the_resource_that_changes_counts_as_a_restart() -> None:
    pods = [pod(name, restarts_on_memory=True) for name in "ab"]
    assert len(named(*pods)) == 2
    assert len(named(*pods, of=decided(Size(400, 256 * MI)))) == 1


def test_giving_back_restarts_nothing() -> None:
    pods = [pod(name, LARGER, actual=WAS, ready=False, restarts_on_cpu=True) for name in "ab"]
    assert len(named(*pods, of=decided(give_back=("a", "b")))) == 2


@pytest.mark.parametrize(
    ("one", "is_settled"),
    [
        (pod(asked=LARGER), True),
        (pod(), False),
        (pod(asked=LARGER, running=False), False),
        (pod(asked=LARGER, resizing=Resizing.IN_PROGRESS), False),
        (pod(asked=LARGER, resizing=Resizing.DEFERRED), True),
        (pod(refusal="a GPU"), True),
    ],
    ids=["done", "not asked", "not running", "under way", "the kubelet waits", "never"],
)
def test_settled_is_when_nothing_more_is_to_be_seen_soon(one: SizedPod, is_settled: bool) -> None:
    assert resize.settled(decided(), Sizes(WAS, (one,))) is is_settled
