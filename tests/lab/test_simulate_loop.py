"""The operator's own turn on the modelled stream, and what is made of it."""

import dataclasses
import json

import pytest

from charon_operator.errors import SimulationError
from charon_operator.lab import (
    arrivals,
    contest,
    example,
    optimum,
    picture,
    replay,
    report,
    score,
    scorecard,
    simulate,
    world,
)
from charon_operator.lab.story import Story
from tests.lab import stream
from tests.loop import placed_world


def run(seed: int = 0, **changes) -> tuple[simulate.Run, Story]:
    one = stream.played()
    done = simulate.run(one.app, one.policy, stream.scene(seed, **changes))
    return done, Story.read(done.rows, one.app.key)


def written(tmp_path, rows):
    file = tmp_path / "journal.jsonl"
    file.write_text("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows))
    return file


@pytest.fixture(scope="module")
def played() -> contest.Contest:
    one, scene = stream.played(), stream.scene(seed=0)
    return contest.beside(one, scene, contest.play(one, scene))


def test_run_when_repeated_with_its_seed_then_writes_the_same_journal() -> None:
    assert run(3)[0].rows == run(3)[0].rows
    assert run(3)[0].rows != run(4)[0].rows


def test_step_when_held_by_the_example_then_the_queue_returns_and_replicas_go_back() -> None:
    done, story = run()
    assert max(done.trace.queue) > 600
    assert done.trace.queue[-1] <= 600
    assert done.trace.wanted[-1] == 1
    assert all(1 <= item.to <= 37 for item in story.done)


def test_replicas_when_told_by_the_writes_then_are_those_of_the_cluster() -> None:
    done, story = run()
    assert story.replicas(done.trace.times_s) == done.trace.wanted


def test_journal_of_a_simulation_when_replayed_then_gives_the_same_decisions(tmp_path) -> None:
    found = replay.replay(written(tmp_path, run()[0].rows))
    assert found.decisions > 100
    assert found.writes >= 3
    assert found.mismatches == []


def test_journal_when_a_decision_was_altered_then_the_replay_says_which(tmp_path) -> None:
    rows = json.loads(json.dumps(run()[0].rows))
    turns = [row for row in rows if row["kind"] == "turn"]
    turns[20]["apps"][0]["decision"]["final"] += 1
    found = replay.replay(written(tmp_path, rows))
    assert [mismatch.turn_id for mismatch in found.mismatches] == [turns[20]["turn"]]


def test_journal_when_its_last_line_was_cut_then_the_rest_is_replayed(tmp_path) -> None:
    file = written(tmp_path, run()[0].rows)
    file.write_text(file.read_text()[:-30])
    found = replay.replay(file)
    assert found.cut == 1
    assert found.mismatches == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no start row"),
        ('{"v": 4, "kind": "turn", "time": 1, "turn": "a", "apps": []}\n', "no start row"),
        ('{"v": 99, "kind": "turn"}\n', "not a row of a journal"),
    ],
)
def test_file_that_is_no_journal_when_replayed_then_is_refused(text, words, tmp_path) -> None:
    file = tmp_path / "journal.jsonl"
    file.write_text(text)
    with pytest.raises(SimulationError, match=words):
        replay.replay(file)


@pytest.mark.parametrize("seed", [0, 10, 17])
def test_example_when_played_then_is_back_within_1_3_times_the_optimum(seed: int) -> None:
    one, scene = stream.played(), stream.scene(seed)
    result = contest.beside(one, scene, contest.play(one, scene))
    ratios = [result.ratio(who) for who in (result.subject, result.before)]
    assert 1.0 <= ratios[0] <= 1.3, scorecard.lines(result)
    assert ratios[0] < ratios[1]
    assert result.near(result.subject)
    assert result.prompt


def better_run(of: contest.Contender, dead_time_s: float | None) -> contest.Contender:
    assert of.score.return_s is not None
    sooner = dataclasses.replace(of.score, return_s=of.score.return_s / 2, dead_time_s=dead_time_s)
    return dataclasses.replace(of, score=sooner)


def test_contender_when_it_was_back_before_the_optimum_then_is_the_yardstick(played) -> None:
    best = better_run(played.subject, played.optimum.dead_time_s)
    beaten = dataclasses.replace(played, subject=best)
    assert beaten.sooner is best
    assert beaten.ratio(best) == 1.0
    assert "Queueing did better" in scorecard.yardstick(beaten)
    assert scorecard.values(beaten)["optimum"]["by"] == "Queueing"


def test_contender_when_it_saw_the_step_earlier_then_is_no_yardstick(played) -> None:
    unfair = better_run(played.before, played.optimum.dead_time_s - 0.5)
    assert dataclasses.replace(played, before=unfair).sooner is None


def test_dead_time_when_the_pipeline_hangs_then_the_optimum_does_not_wait_with_it(played) -> None:
    hung = dataclasses.replace(played.subject.score, dead_time_s=20.0)
    subject = dataclasses.replace(played.subject, score=hung)
    late = contest.beside(stream.played(), stream.scene(seed=0), subject)
    assert not late.prompt
    assert late.optimum.dead_time_s == late.longest_s == world.Pipeline().longest_s(1.0)


def test_arrivals_that_are_no_step_when_played_then_there_is_no_optimum() -> None:
    load = arrivals.Arrivals((0.0, 5.0, 20.0), (0.0, 10.0, 100.0), 40.0)
    one, scene = stream.played(), stream.scene(0, load)
    result = contest.beside(one, scene, contest.play(one, scene))
    assert result.yardstick is None
    assert result.ratio(result.subject) is None
    assert "optimum" not in scorecard.lines(result)[0]
    assert "times the optimum's" not in "".join(scorecard.over_seeds([result, result]))
    assert json.loads(json.dumps(scorecard.values(result), allow_nan=False))["optimum"] is None
    page = report.html(result, "title", picture.png(result, "title"), [])
    assert "no optimum" in page


@pytest.mark.parametrize(
    ("rates", "verdict"),
    [
        ((0.0, 9.0, 0.0), True),
        ((9.0, 9.0, 0.0), True),
        ((9.0, 0.0, 9.0), False),
        ((0.0, 0.0, 0.0), False),
        ((1.0, 9.0, 0.0), False),
    ],
)
def test_step_when_looked_at_then_is_one_rate_for_one_while(rates, verdict: bool) -> None:
    assert arrivals.Arrivals((0.0, 5.0, 9.0), rates, 12.0).is_step is verdict


@pytest.mark.parametrize("seed", [0, 10])
def test_optimum_when_the_step_ends_earlier_then_did_the_same_until_it_saw_that(seed: int) -> None:
    short, long = (
        optimum.find(optimum.Problem(stream.scene(seed, load), 1, 37, 600.0, 2.0)).trace
        for load in (arrivals.step(length_s=20.0), arrivals.step(length_s=60.0))
    )
    seen = sum(time_s <= short.silent_s + 2.0 for time_s in short.times_s)
    assert short.wanted[:seen] == long.wanted[:seen]
    assert set(long.wanted) - {1}


def test_optimum_when_nothing_can_be_back_then_asks_for_what_helps_most() -> None:
    flood = arrivals.step(5000.0, 30.0)
    best = optimum.find(optimum.Problem(stream.scene(0, flood), 1, 6, 600.0, 2.0))
    assert best.score.return_s is None
    assert best.high > 1


def test_optimum_when_it_sees_later_then_returns_later(played: contest.Contest) -> None:
    scene = stream.scene(seed=0)
    early = optimum.Problem(scene, 1, 37, 600.0, 1.0)
    late = dataclasses.replace(early, dead_time_s=4.0)
    first, second = optimum.find(early), optimum.find(late)
    assert first.score.return_s is not None
    assert second.score.return_s is not None
    assert first.score.return_s < second.score.return_s


def test_optimum_when_there_is_no_step_then_asks_for_the_minimum_and_is_never_away() -> None:
    quiet = stream.scene(0, arrivals.step(5.0, 20.0))
    best = optimum.find(optimum.Problem(quiet, 1, 4, 600.0, 1.0))
    assert best.score.return_s == 0.0


def test_optimum_when_the_queue_is_back_then_keeps_what_holds_a_lasting_step() -> None:
    best = optimum.find(optimum.Problem(stream.scene(2), 1, 37, 600.0, 1.0))
    # 1000 frames/s at about 67 a process need 15; a few fewer hold while a queue is young.
    assert 10 <= best.low <= best.high


def test_score_when_counted_by_hand_then_agrees() -> None:
    trace = simulate.Trace(step_s=10.0, silent_s=14.0)
    for second, queue in enumerate([0, 0, 900, 900, 100, 0]):
        trace.add(
            9.0 + second,
            arrivals=0,
            queue=queue,
            replicas=(1 if second < 3 else 5, 1),
            lost=second,
            cores=0.5 * second,
        )
    found = score.score(trace, Story(), threshold=600.0, end_s=14.0)
    assert (found.peak, found.above_s, found.return_s) == (900, 2.0, 3.0)
    assert found.attainment == pytest.approx(0.5)
    assert found.longest_s == 2.0
    assert found.replica_seconds == 1 + 1 + 5 + 5
    assert found.core_seconds == 0.5 * (1 + 2 + 3 + 4)
    assert found.lost == 5
    assert (found.writes, found.latency_s, found.dead_time_s) == (0, None, None)


def test_score_when_cpu_is_not_known_then_neither_are_core_seconds() -> None:
    trace = simulate.Trace(step_s=0.0, silent_s=1.0)
    for second, cores in enumerate([1.0, None, 1.0]):
        trace.add(second, arrivals=0, queue=0, replicas=(1, 1), lost=0, cores=cores)
    found = score.score(trace, Story(), threshold=600.0, end_s=2.0)
    assert (found.core_seconds, found.longest_s) == (None, 0.0)


def test_score_when_the_queue_is_away_twice_then_the_longer_one_counts() -> None:
    trace = simulate.Trace(step_s=0.0, silent_s=1.0)
    for second, queue in enumerate([700, 0, 700, 700, 700, 0, 700]):
        trace.add(float(second), arrivals=0, queue=queue, replicas=(1, 1), lost=0)
    assert score.score(trace, Story(), threshold=600.0, end_s=6.0).longest_s == 3.0


def test_score_when_the_queue_is_away_at_the_end_then_it_never_returned() -> None:
    trace = simulate.Trace(step_s=0.0, silent_s=1.0)
    for second in range(3):
        trace.add(float(second), arrivals=0, queue=700, replicas=(1, 1), lost=0)
    assert score.return_s(trace, 600.0) is None


def test_dead_time_when_measured_then_is_within_scrape_send_period_and_write() -> None:
    for seed in range(5):
        done, story = run(seed)
        found = score.score(done.trace, story, threshold=600.0, end_s=done.trace.times_s[-1])
        pipeline = world.Pipeline()
        assert found.dead_time_s is not None
        assert pipeline.send_s < found.dead_time_s <= pipeline.longest_s(1.0) + 1e-6


def test_scorecard_when_written_then_names_all_and_is_json(played: contest.Contest) -> None:
    lines = scorecard.lines(played)
    assert lines[0].split() == ["Queueing", "PD", "optimum"]
    assert any(line.startswith("replica-seconds") for line in lines)
    content = json.loads(json.dumps(scorecard.values(played), allow_nan=False))
    assert content["optimum"]["ratio"] == 1.0
    over = scorecard.over_seeds([played, played])
    assert len(over) == 4
    assert "at most 1.3 in 2 of 2" in over[1]


def test_report_when_made_then_needs_no_other_file(played: contest.Contest) -> None:
    image = picture.png(played, "a <title>")
    assert image.startswith(b"\x89PNG")
    page = report.html(played, "a <title>", image, ["how it was run"])
    assert "a &lt;title&gt;" in page
    assert "<script" not in page
    assert "http" not in page.replace("data:image/png;base64", "")
    assert all(message.split(":")[0] in page for _, message in contest.changes(played.subject))


def test_query_that_the_simulator_does_not_know_when_played_then_is_named() -> None:
    one = stream.played()
    odd = one.app.spec.indicators[0].model_copy(update={"query": "topk(1, frames_queued)"})
    spec = one.app.spec.model_copy(update={"indicators": [odd, one.app.spec.indicators[1]]})
    app = dataclasses.replace(one.app, spec=spec)
    with pytest.raises(SimulationError, match="topk"):
        simulate.run(app, one.policy, stream.scene())


PLACED = {"kind": "ChargedApp", **placed_world.placed_app(policyRef={"name": "stream"})}
BROKEN = {
    "no app": ("kind: ControlPolicy\n", "needs one ChargedApp"),
    "no policy": (
        (stream.EXAMPLE / "3-app.yaml").read_text(),
        "names the ControlPolicy 'stream'",
    ),
    "no yaml": ("a: [", "is not YAML"),
    "bad app": ("kind: ChargedApp\nspec: {}\n", "spec.policyRef"),
    "variants": (
        f"{(stream.EXAMPLE / '2-policy.yaml').read_text()}---\n{json.dumps(PLACED)}",
        "spec.placement: variants cannot be played",
    ),
    "list as metadata": ("kind: Deployment\nmetadata: [a]\n", "metadata of Deployment must be"),
    "text as spec": ("kind: Deployment\nspec: a\n", "spec of Deployment must be a mapping"),
    "replicas in letters": (
        "---\n".join(file.read_text() for file in sorted(stream.EXAMPLE.glob("*.yaml"))).replace(
            "  selector:\n", "  replicas: abc\n  selector:\n"
        ),
        "spec.replicas of the workload must be a whole number: 'abc'",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_example_when_broken_then_the_error_says_what_is_missing(case: str, tmp_path) -> None:
    text, words = BROKEN[case]
    file = tmp_path / "example.yaml"
    file.write_text(text)
    with pytest.raises(SimulationError, match=words):
        example.read(file)


def test_folder_without_manifests_when_read_then_is_refused(tmp_path) -> None:
    with pytest.raises(SimulationError, match="holds no YAML files"):
        example.read(tmp_path)
