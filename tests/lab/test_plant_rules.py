"""What the plant must do whatever its figures are."""

import dataclasses
import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charon_operator.errors import SimulationError
from charon_operator.lab import arrivals, cluster, luck, parameters, plant, service
from charon_operator.model.workload import Target
from charon_operator.ports import PlantPod, PodState

PARAMETERS = parameters.load()


def pods(count: int, created_at_s: float = 0.0, prefix: str = "pod") -> list[PlantPod]:
    return [PlantPod(f"{prefix}-{i:03}", created_at_s, limits_cores=1.0) for i in range(count)]


def stepped(seed: int = 1, rate: float = 1000.0) -> plant.StreamPlant:
    model = plant.StreamPlant(PARAMETERS, arrivals.step(rate, quiet_s=0.0), seed)
    model.step(0.0, pods(1))
    model.begin(0.0)
    return model


def balance(account: plant.Account) -> int:
    gone = account.unheard + account.dropped + account.lost
    return account.offered - gone - account.processed - account.queued


@settings(max_examples=25)
@given(
    seed=st.integers(0, 1000),
    counts=st.lists(st.integers(0, 45), min_size=1, max_size=12),
    pause_s=st.floats(0.3, 9.0),
)
def test_every_frame_when_pods_come_and_go_then_is_accounted_for(
    seed: int, counts: list[int], pause_s: float
) -> None:
    model = stepped(seed)
    for turn, count in enumerate(counts, start=1):
        model.step(turn * pause_s, pods(count))
        assert balance(model.account()) == 0
        assert model.serving() <= min(count, PARAMETERS.node_slots)


def test_output_when_stepped_finely_or_coarsely_then_is_the_same() -> None:
    coarse, fine = stepped(), stepped()
    crowd = pods(1) + pods(20, 0.0, "new")
    coarse.step(0.0, crowd)
    fine.step(0.0, crowd)
    for tick in range(1, 301):
        fine.step(tick * 0.1, crowd)
    assert coarse.step(30.0, crowd) == fine.step(30.0, crowd)


def test_luck_when_commands_differ_then_hangs_on_seed_and_ordinal_alone() -> None:
    early, late = stepped(), stepped()
    for second in range(60):
        early.step(float(second), pods(1) + pods(20, 0.0, "new"))
        late.step(float(second), pods(1) + (pods(10, 0.0, "new") if second > 0 else []))
    state = early.step(60.0, pods(1) + pods(20, 0.0, "new")).pods
    other = late.step(60.0, pods(1) + pods(10, 0.0, "new")).pods
    assert {name: state[name].restarts for name in other if name != "new-000"} == {
        name: seen.restarts for name, seen in other.items() if name != "new-000"
    }


def test_queue_of_a_pod_when_it_is_removed_then_is_lost() -> None:
    model = stepped()
    model.step(5.0, pods(1))
    waiting = model.account().queued
    assert waiting > 500
    model.step(5.0, [])
    assert model.account().queued == 0
    assert model.account().lost == waiting


def test_frames_when_a_pod_joins_then_stay_where_they_were_dealt() -> None:
    model = stepped(rate=1000.0)
    output = model.step(5.0, pods(1))
    before = {labels["pod"]: value for name, labels, value in output.metrics if "queued" in name}
    after = model.step(5.0, pods(1) + pods(10, 5.0, "new"))
    assert {
        labels["pod"]: value for name, labels, value in after.metrics if name == plant.QUEUED
    } == before


def test_terminating_pod_when_it_is_still_there_then_takes_frames_and_serves() -> None:
    model = stepped()
    model.step(1.0, pods(1))
    going = [PlantPod("pod-000", 0.0, terminating=True, limits_cores=1.0)]
    before = model.account().processed
    model.step(10.0, going)
    assert model.account().processed > before
    assert model.account().queued > 0


def test_terminating_pod_when_nothing_runs_in_it_then_nothing_is_started() -> None:
    model = stepped()
    fresh = [PlantPod("new-000", 0.0, terminating=True, limits_cores=1.0)]
    state = model.step(60.0, pods(1) + fresh).pods["new-000"]
    assert (state.alive, state.restarts) == (False, 0)


def test_terminating_pod_when_its_process_crashes_then_is_not_started_again() -> None:
    # The seed's first new pod crashes at its first batch.
    seed = next(s for s in range(99) if next(luck.starts(PARAMETERS, s, 1)).serves_s is None)
    # So little comes that a batch takes a second.
    model, new = stepped(seed, rate=16.0), PlantPod("new-000", 0.0, limits_cores=1.0)
    takes_s = next(luck.starts(PARAMETERS, seed, 1)).takes_s
    assert model.step(takes_s + 0.2, [*pods(1), new]).pods["new-000"].alive
    going = dataclasses.replace(new, terminating=True)
    state = model.step(300.0, [*pods(1), going]).pods["new-000"]
    assert (state.alive, state.ready, state.restarts) == (False, False, 1)


def test_surplus_pods_when_nothing_runs_in_them_then_end_without_grace() -> None:
    made = cluster.Cluster(Target("workload", "Deployment", "consumer"), 3, 0.0, grace_s=30.0)
    names = [pod.name for pod in made.pods()]
    made.advance(1.0, {names[0]: PodState(True), names[1]: PodState(False)})
    made.scale(1, 2.0)
    assert {pod.name: pod.terminating for pod in made.pods()} == {names[0]: False, names[1]: True}
    made.advance(32.0, {})
    assert [pod.name for pod in made.pods()] == names[:1]


def test_node_when_crowded_then_serves_no_more_than_its_ceiling() -> None:
    model = plant.StreamPlant(PARAMETERS, arrivals.step(3000.0, 60.0, quiet_s=0.0), 1)
    crowd = pods(37)
    model.step(0.0, crowd)
    model.begin(0.0)
    model.step(60.0, crowd)
    assert model.account().processed / 60 == pytest.approx(PARAMETERS.node_ceiling, rel=0.02)


def test_source_when_no_process_listens_then_is_counted_as_unheard() -> None:
    model = plant.StreamPlant(PARAMETERS, arrivals.step(100.0, 10.0, quiet_s=0.0), 1)
    model.step(0.0, [])
    model.begin(0.0)
    output = model.step(10.0, [])
    assert output.metrics == []
    assert model.account().unheard == model.account().offered == 1000


@pytest.mark.parametrize(("limit", "offered"), [(1.0, 0.0), (0.5, 30.0), (None, 100.0)])
def test_service_law_when_less_arrives_then_serves_no_less(
    limit: float | None, offered: float
) -> None:
    assert service.service(PARAMETERS, limit, offered) >= service.service(
        PARAMETERS, limit, offered + 50
    )


def test_self_sustained_rate_at_one_core_then_is_near_upstreams_capacity_of_64() -> None:
    rate = 60.0
    for _ in range(50):
        rate = service.service(PARAMETERS, 1.0, rate)
    assert 60 < rate < 75


@given(seed=st.integers(0, 10_000), ordinal=st.integers(0, 200))
def test_starts_when_drawn_then_are_ordered_and_end_in_service(seed: int, ordinal: int) -> None:
    drawn = list(luck.starts(PARAMETERS, seed, ordinal))
    assert drawn == list(luck.starts(PARAMETERS, seed, ordinal))
    assert drawn[0].takes_s >= PARAMETERS.start_minimum
    assert [start.serves_s for start in drawn[:-1]] == [None] * (len(drawn) - 1)
    assert all(a.takes_s < b.takes_s for a, b in itertools.pairwise(drawn))
    assert drawn[-1].serves_s is not None
    assert drawn[-1].serves_s >= drawn[-1].takes_s


def test_plant_file_when_a_figure_is_missing_then_says_which(tmp_path) -> None:
    file = tmp_path / "plant.json"
    file.write_text('{"parameters": {"overhead": {"value": 0.1}}}')
    with pytest.raises(SimulationError, match="receive_cost is missing"):
        parameters.load(file)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", 'needs an object "parameters"'),
        ("[]", 'needs an object "parameters"'),
        ('{"parameters": [1]}', 'needs an object "parameters"'),
        ('{"parameters": {"overhead": 0.1}}', "overhead needs a number as its value"),
        ("{", "is not a plant file"),
    ],
)
def test_plant_file_when_it_is_none_then_says_what_it_needs(text, words, tmp_path) -> None:
    file = tmp_path / "plant.json"
    file.write_text(text)
    with pytest.raises(SimulationError, match=words):
        parameters.load(file)


def test_plant_file_when_it_is_absent_then_names_the_option(tmp_path) -> None:
    with pytest.raises(SimulationError, match="--plant"):
        parameters.load(tmp_path / "none.json")


def test_step_when_made_then_is_quiet_first_and_60000_frames_long() -> None:
    load = arrivals.step()
    assert [load.rate(t) for t in (-1.0, 0.0, 4.9, 5.0, 64.9, 65.0)] == [0, 0, 0, 1000, 1000, 0]
    assert load.total == 60_000
    assert load.first_s == arrivals.QUIET_S


CSV_CASES = {
    "named columns in any order": ("arrivals_per_s,t_s\n10,0\n20,1\n", [(0.5, 10), (1.5, 20)]),
    "first two columns": ("time,rate,note\n0,5,a\n2,7,b\n", [(1.0, 5), (3.0, 7), (4.0, 0)]),
    "no header": ("0,5\n2,7\n", [(1.0, 5), (3.0, 7)]),
}


@pytest.mark.parametrize("case", CSV_CASES)
def test_csv_when_well_formed_then_is_a_piecewise_rate(case: str, tmp_path) -> None:
    text, points = CSV_CASES[case]
    file = tmp_path / "load.csv"
    file.write_text(text)
    load = arrivals.read_csv(file)
    assert [load.rate(time_s) for time_s, _ in points] == [rate for _, rate in points]


BAD_CSV = {
    "": "is empty",
    "t_s,arrivals_per_s\n0,1\n": "at least two rows",
    "t_s,arrivals_per_s\n0,1\n0,2\n": "must ascend",
    "t_s,arrivals_per_s\n0,1\n1,x\n": ":3: needs two numbers",
    "t_s,arrivals_per_s\n0,1\n1\n": ":3: needs two numbers",
    "t_s,arrivals_per_s\n0,1\n1,-2\n": "not negative",
    "t_s,arrivals_per_s\n0,1\n1,nan\n": "not negative",
    "t_s,arrivals_per_s\n\n0,1\n1,1e9\n": ":4: .* at most 1000000 a second",
    "t_s,arrivals_per_s\n0,1\n1e12,1\n": ":3: time must be 0 to 604800 s",
    "t_s,arrivals_per_s\n0,0\n1,0\n": "nothing ever arrives",
    "t_s,arrivals_per_s\n0,1\n1," + 140_000 * "9": ":3: is not CSV: field larger than",
}


@pytest.mark.parametrize("text", BAD_CSV, ids=BAD_CSV.values())
def test_csv_when_broken_then_the_error_names_file_and_fault(text: str, tmp_path) -> None:
    file = tmp_path / "load.csv"
    file.write_text(text)
    with pytest.raises(SimulationError, match=BAD_CSV[text]) as raised:
        arrivals.read_csv(file)
    assert "load.csv" in str(raised.value)


def test_nothing_arrives_when_all_rates_are_zero_then_first_is_never() -> None:
    assert arrivals.Arrivals((0.0,), (0.0,), 5.0).first_s == math.inf
