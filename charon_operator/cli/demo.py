"""`charon demo`: the main job end to end, on a real control plane and a real Mimir.

Reads: the repository's chart and example. Gives: a scorecard, a picture, a report, a journal; exit
code 0 only if the queue was back in time and every change was explained. Never: leaves anything
running.
"""

import asyncio
import dataclasses
import math
import pathlib
import shutil
import signal
import sys
import time

import click

from charon_operator.cli import demo_play, demo_stage, demo_view, written
from charon_operator.lab import (
    arrivals,
    contest,
    example,
    parameters,
    picture,
    plant,
    replay,
    report,
    score,
    scorecard,
    world,
)
from charon_operator.testbed import Config, progress

_ROOT = pathlib.Path(__file__).parents[2]


@click.command(
    epilog="""\b
Examples:
  charon demo
  charon demo --folder /tmp/demo --seed 3
"""
)
@click.option(
    "--folder",
    type=click.Path(path_type=pathlib.Path, file_okay=False),
    default=_ROOT / "demo",
    show_default="demo",
    help="What it leaves behind lies here.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the plant's chance.")
def demo(folder: pathlib.Path, seed: int) -> None:
    """Hold a streaming workload to its objective, and show how well it went.

    Brings up a control plane, Mimir and the operator on this machine, plays a step of 1000 frames/s
    against a model of the 2024 stream, compares with PD and with the causal optimum, and stops
    everything. The first run builds the testbed (some ten minutes); later ones take about three.
    """
    places = demo_stage.Places(_ROOT, folder)
    click.get_current_context().with_resource(places.prepared())
    played = example.read(places.example)
    load = arrivals.step()
    model = plant.StreamPlant(parameters.load(), load, seed)
    live = _live(places, played, model, load)
    if live is None:
        click.echo("Stopped; nothing is left running.", err=True)
        sys.exit(130)
    click.echo("All is stopped. Playing the same scene under PD and the optimum.")
    result = _contest(played, load, seed, live)
    _leave(places, result, live)
    sys.exit(_verdict(places, result, live))


def _live(
    places: demo_stage.Places,
    played: example.Example,
    model: plant.StreamPlant,
    load: arrivals.Arrivals,
) -> demo_play.Play | None:
    """The live part; None if a person ended it."""
    try:
        with progress.shown() as shows, demo_stage.stage(places, shows) as stage:
            play = demo_play.Play(stage, places.journal, played, model, load)
            whole = asyncio.run(_followed(play, played))
            click.echo("Stopping the operator and the testbed.")
    except KeyboardInterrupt:
        return None
    play.read()
    return play if whole else None


async def _followed(play: demo_play.Play, played: example.Example) -> bool:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    threshold = played.objective.threshold
    with demo_view.shown(threshold.value, _unit(played)) as view:
        return await play.run(stop, view)


def _unit(played: example.Example) -> str:
    wanted = played.objective.threshold.indicator
    return next(item.unit for item in played.app.spec.indicators if item.name == wanted)


def _contest(
    played: example.Example, load: arrivals.Arrivals, seed: int, live: demo_play.Play
) -> contest.Contest:
    """The live run beside PD and the optimum, over the same horizon."""
    trace = live.trace
    trace.wanted = live.story.replicas(trace.times_s)
    tail_s = trace.times_s[-1] - trace.silent_s
    judged = score.score(
        trace, live.story, threshold=played.objective.threshold.value, end_s=trace.times_s[-1]
    )
    name = played.policy.spec.controller.type
    subject = contest.Contender(name, judged, trace, live.story)
    scene = world.Scene(
        target=played.app.target,
        parameters=parameters.load(),
        arrivals=load,
        replicas=played.replicas,
        limit_cores=played.limit_cores,
        seed=seed,
        tail_s=tail_s,
        pipeline=world.Pipeline(Config.scrape_interval_s, Config.remote_write_deadline_s),
    )
    return contest.beside(played, scene, subject)


def _leave(places: demo_stage.Places, result: contest.Contest, live: demo_play.Play) -> None:
    """Write the picture and the report."""
    title = f"{result.subject.name} holds a queue on a real control plane and Mimir"
    image = picture.png(result, title)
    notes = [
        "API server, scheduler, controllers, Mimir, its agent and the operator are real; "
        "what the pods do is a model identified from measurements of 2024 (data/plants).",
        f"{result.before.name} and the optimum are simulated: same plant, same seed "
        f"({result.seed}), same arrivals, same horizon; phases of scrapes and turns differ.",
        _Check.prompt(result).words,
        f"Run at {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime(live.begun_s))}.",
    ]
    written.whole(places.out / "demo.png", image)
    written.whole(places.out / "report.html", report.html(result, title, image, notes).encode())


def _verdict(places: demo_stage.Places, result: contest.Contest, live: demo_play.Play) -> int:
    """Say how it went; the exit code."""
    click.echo("")
    for line in scorecard.lines(result):
        click.echo(line)
    click.echo("")
    click.echo(scorecard.yardstick(result))
    click.echo(
        f"One seed ({result.seed}) is shown; `charon simulate {places.example} --seeds 20` plays "
        "many."
    )
    click.echo("")
    found = [
        _Check.near(result),
        _Check.prompt(result),
        _Check.explained(live),
        _Check.replayed(replay.replay(places.journal)),
    ]
    for check in found:
        click.echo(f"{'good' if check.good else 'BAD '}  {check.words}")
    click.echo("")
    for name in ("report.html", "demo.png", "journal.jsonl"):
        click.echo(f"  {places.out / name}")
    if all(check.good for check in found):
        shutil.rmtree(places.bed, ignore_errors=True)
        return 0
    click.echo(f"  {places.bed} (logs)")
    return 1


@dataclasses.dataclass(frozen=True, slots=True)
class _Check:
    """Something the demo must show, and whether it did."""

    good: bool
    words: str

    @classmethod
    def near(cls, result: contest.Contest) -> "_Check":
        ratio, hold = result.ratio(result.subject), f"{result.threshold:g} {result.unit}"
        if ratio is None or math.isinf(ratio):
            return cls(False, f"The queue was not back within {hold} when the run ended.")
        return cls(
            result.near(result.subject),
            f"The queue was back within {hold} in {ratio:.2f} times the causal optimum's time "
            f"(at most {contest.NEAR}).",
        )

    @classmethod
    def prompt(cls, result: contest.Contest) -> "_Check":
        seen_s = result.subject.score.dead_time_s
        if seen_s is None:
            return cls(False, "No turn stood on samples taken after the step.")
        return cls(
            result.prompt,
            f"The step was acted on after {seen_s:.2f} s; scrape, send, period and write account "
            f"for {result.longest_s:.2f} s, and a busy machine for {contest.SLACK_S} more.",
        )

    @classmethod
    def explained(cls, live: demo_play.Play) -> "_Check":
        told = [live.changes[0], *(item.to for item in live.story.done)] if live.changes else []
        seen = live.changes
        if told == seen and len(seen) > 1:
            count = len(seen) - 1
            return cls(True, f"All {count} replica changes of the Deployment are in the journal.")
        return cls(False, f"The Deployment had {seen} replicas, the journal tells of {told}.")

    @classmethod
    def replayed(cls, found: replay.Replayed) -> "_Check":
        count = len(found.mismatches)
        return cls(
            count == 0 and found.decisions > 0,
            f"The journal replayed: {found.decisions} decisions, {count} differ.",
        )
