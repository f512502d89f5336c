"""One knob, the other and both, on the same loads; figures are judged over all of them."""

import dataclasses
import json

import pytest
import yaml
from click.testing import CliRunner

from charon_operator.cli import main
from charon_operator.errors import SimulationError
from charon_operator.lab import comparison, example, loads, replay, simulate, tally, world
from charon_operator.lab.comparison import ALONE, BOTH, CPU, LARGE, PROVISIONED, REPLICAS, Mean
from charon_operator.lab.story import Story
from charon_operator.model.app import ChargedApp
from charon_operator.model.policy import Prices
from charon_operator.names import Reason
from tests.lab import stream

EXAMPLE = stream.ROOT / "examples" / "02-two-knobs"
PRICES = Prices()


def played() -> example.Example:
    return example.read(EXAMPLE)


def scene(load: str, seed: int = 0, **changes) -> world.Scene:
    one = played()
    made = stream.scene(seed, loads.LOADS[load](seed))
    return dataclasses.replace(
        made,
        target=one.app.target,
        replicas=one.replicas,
        limit_cores=one.limit_cores,
        **changes,
    )


@pytest.fixture(scope="module")
def plays() -> list[comparison.Play]:
    return [play for load in loads.LOADS for play in comparison.plays(played(), load, scene(load))]


def cores_of_a_pod(done: simulate.Run) -> list[float]:
    return [
        (cores or 0.0) / wanted
        for cores, wanted in zip(done.trace.cores, done.trace.wanted, strict=True)
    ]


def test_pods_when_little_comes_then_shrink_and_when_more_comes_then_grow_without_restarts() -> (
    None
):
    one = played()
    done = simulate.run(one.app, one.policy, scene("bursts"))
    sizes = cores_of_a_pod(done)
    assert min(sizes) == 0.25
    assert max(sizes) > 0.75
    assert Story.read(done.rows, one.app.key).resized > 50


def test_step_when_both_knobs_hold_it_then_the_size_moves_first() -> None:
    one = played()
    done = simulate.run(one.app, one.policy, scene("step"))
    rows = [row for row in done.rows if row["kind"] in ("write", "resize")]
    first_scale = next(row for row in rows if row["kind"] == "write")
    raised = [row["time"] for row in rows if row["kind"] == "resize"]
    assert min(raised) <= first_scale["time"]
    assert max(cores_of_a_pod(done)) == pytest.approx(1.0, abs=0.01)


def test_journal_of_both_knobs_when_replayed_then_gives_the_same_decisions(tmp_path) -> None:
    one = played()
    done = simulate.run(one.app, one.policy, scene("bursts"))
    file = tmp_path / "journal.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in done.rows))
    found = replay.replay(file)
    assert found.decisions > 100
    assert found.mismatches == []


def test_pods_when_turns_are_far_apart_then_are_resized_between_them() -> None:
    one = played()
    policy = one.policy.spec.model_copy(update={"period_seconds": 15})
    rare = dataclasses.replace(one.policy, spec=policy)
    done = simulate.run(one.app, rare, scene("step"))
    turns = [row["time"] for row in done.rows if row["kind"] == "turn"]
    resized = [row["time"] for row in done.rows if row["kind"] == "resize"]
    late = [min(time - turn for turn in turns if turn <= time) for time in resized]
    assert any(delay > simulate.CHASE_S for delay in late)


def test_node_when_it_is_full_then_deferred_sizes_are_given_back_and_replicas_not_grown() -> None:
    one = played()
    resources = one.app.spec.resources.model_copy(update={"give_back_seconds": 5})
    spec = one.app.spec.model_copy(update={"resources": resources})
    app = dataclasses.replace(one.app, spec=spec)
    done = simulate.run(app, one.policy, scene("step", node_cores=4.5))
    assert max(cores or 0.0 for cores in done.trace.cores) <= 4.5
    turns = [row for row in done.rows if row["kind"] == "turn"]
    told = [row["apps"][0]["resize"]["reason"] for row in turns if "resize" in row["apps"][0]]
    assert Reason.RESIZE_DEFERRED in told


def test_each_of_them_when_played_then_moves_its_own_knobs_alone(plays) -> None:
    moved = {
        knobs: (
            sum(play.contender.score.writes for play in plays if play.knobs == knobs),
            sum(play.contender.score.resizes for play in plays if play.knobs == knobs),
        )
        for knobs in (*ALONE, BOTH, PROVISIONED)
    }
    assert moved[REPLICAS][1] == moved[LARGE][1] == moved[CPU][0] == moved[PROVISIONED][0] == 0
    assert all(moved[knobs][0] > 0 for knobs in (REPLICAS, LARGE, BOTH))
    assert all(moved[knobs][1] > 0 for knobs in (CPU, BOTH, PROVISIONED))


def test_both_when_over_all_loads_then_are_no_worse_than_the_best_single_knob(plays) -> None:
    found = comparison.means(plays)
    best, both = comparison.best_alone(found), comparison.totals(found)[BOTH]
    assert both.cost <= best.cost
    assert both.attainment >= best.attainment
    assert both.longest_s < best.longest_s


def test_cost_when_counted_then_is_at_the_policys_prices(plays) -> None:
    score = plays[0].contender.score
    assert plays[0].cost == pytest.approx(0.1 * score.replica_seconds + score.core_seconds)


def mean(knobs: str, **changes) -> Mean:
    return dataclasses.replace(Mean("step", knobs, 1, 0.9, 10.0, 5.0, 100.0, 50.0, 60.0), **changes)


def test_losses_when_both_are_worse_then_are_named_one_by_one() -> None:
    found = [
        mean(REPLICAS, cost=50.0),
        mean(LARGE, attainment=0.95, longest_s=9.0),
        mean(CPU, lost=4.0),
        mean(BOTH),
        mean(PROVISIONED, cost=59.9),
    ]
    told = [(loss.to, loss.figure) for loss in comparison.losses(found)]
    expected = [(REPLICAS, "cost"), (LARGE, "attainment"), (LARGE, "longest_s"), (CPU, "lost")]
    assert told == expected


def test_best_single_knob_when_two_hold_as_well_then_is_the_cheaper_one() -> None:
    found = [
        mean(REPLICAS, attainment=0.5, cost=1.0),
        mean(LARGE, attainment=0.95),
        mean(CPU, attainment=0.945, cost=40.0),
        mean(BOTH),
        mean(PROVISIONED, attainment=1.0),
    ]
    assert comparison.best_alone(found).knobs == CPU


def test_table_and_values_when_written_then_hold_every_play_and_are_json(plays) -> None:
    text = "\n".join(tally.lines(plays, PRICES))
    assert "best single knob (large replicas)" in text
    content = json.loads(json.dumps(tally.values(plays, PRICES), allow_nan=False))
    assert len(content["plays"]) == len(plays) == 5 * len(loads.LOADS)
    rows = list(tally.csv(plays))
    assert rows[0].startswith("load,seed,knobs,attainment")
    assert {row.count(",") for row in rows} == {13}


def test_verb_when_called_then_compares_and_writes_a_csv(tmp_path) -> None:
    file = tmp_path / "new" / "plays.csv"
    done = CliRunner().invoke(
        main, ["compare", str(EXAMPLE), "--load", "step", "--csv", str(file), "-o", "json"]
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["prices"] == {"replica": 0.1, "core": 1.0}
    assert len(file.read_text().splitlines()) == 6


def test_example_of_one_knob_when_compared_then_one_line_says_what_it_lacks() -> None:
    done = CliRunner().invoke(main, ["compare", str(stream.EXAMPLE)])
    assert done.exit_code == 1
    assert "give it spec.resources with mode InPlace" in done.output


def test_pods_without_a_limit_when_compared_then_are_refused() -> None:
    bare = dataclasses.replace(played(), limit_cores=None)
    with pytest.raises(SimulationError, match="no CPU limit"):
        comparison.plays(bare, "step", scene("step"))


def test_curve_of_the_example_then_is_what_the_command_prints() -> None:
    done = CliRunner().invoke(main, ["lab", "curve"])
    assert done.exit_code == 0, done.output
    (body,) = yaml.safe_load_all((EXAMPLE / "3-app.yaml").read_text())
    assert yaml.safe_load(done.output) == body["spec"]["resources"]["curve"]
    assert ChargedApp.parse(body).spec.sizes_cpu


def test_curve_when_asked_at_no_size_then_says_what_one_is() -> None:
    done = CliRunner().invoke(main, ["lab", "curve", "--at", "lots"])
    assert done.exit_code == 1
    assert "--at lots: must be CPU" in done.output
