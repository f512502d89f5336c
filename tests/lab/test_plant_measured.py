"""The plant against the real runs of 2024; `pytest -s` prints the figures."""
# ruff: noqa: T201 - the figures are meant to be read with `pytest -s`

import random
import statistics

import pytest

from charon_operator.lab import arrivals, parameters, plant, service
from charon_operator.ports import PlantPod
from tests.lab import measured

pytestmark = measured.needs_data
PARAMETERS = parameters.load()
TICK_S = 0.1


def r_squared(measured_values: list[float], modelled: list[float]) -> float:
    mean = statistics.mean(measured_values)
    left = sum((a - b) ** 2 for a, b in zip(measured_values, modelled, strict=True))
    return 1 - left / sum((a - mean) ** 2 for a in measured_values)


def queue_with_measured_starts(run: measured.Run) -> dict[int, int]:
    """Total queue by second: measured starts, stops and arrivals, modelled service."""
    silent_s = max(second for second, rate in run.arrivals.items() if rate > 0)
    live: dict[str, service.Process] = {}
    due: dict[str, float] = {}
    total = {}
    for tick in range(1, int(max(run.queue) / TICK_S) + 1):
        now_s, second = tick * TICK_S, -(-tick // 10)
        for life in run.lives:
            gone = now_s > life.last_s + 0.2 and life.last_s < silent_s - 3
            if life.batch_s is None or now_s < life.first_s or gone:
                live.pop(life.name, None)
                continue
            if life.name not in live:
                live[life.name] = service.Process(PARAMETERS, None, random.Random(life.name))
                live[life.name].limit_cores = 1.0
            live[life.name].serving = now_s >= life.batch_s - TICK_S
        mean = run.arrivals.get(second, 0.0) / max(1, len(live))
        for life in run.lives:
            if life.name in live:
                due[life.name] = due.get(life.name, 0.0) + life.arrivals.get(second, 0.0) * TICK_S
                live[life.name].queue += 8 * int(due[life.name] // 8)
                due[life.name] %= 8
        service.serve_all(PARAMETERS, list(live.values()), mean, TICK_S)
        if tick % 10 == 0:
            total[second] = sum(process.queue for process in live.values())
    return total


def test_queue_when_starts_are_measured_then_follows_the_real_runs() -> None:
    found = {}
    for name, run in measured.control_runs().items():
        modelled = queue_with_measured_starts(run)
        seconds = sorted(set(modelled) & set(run.queue))
        found[name] = r_squared([run.queue[s] for s in seconds], [modelled[s] for s in seconds])
    print("queue R2 with measured starts", {name: round(r, 3) for name, r in found.items()})
    print("median", round(statistics.median(found.values()), 3), "least", min(found.values()))
    assert statistics.median(found.values()) > 0.98
    assert min(found.values()) > 0.90


def measured_curve() -> dict[int, float]:
    """Mean number of processes completing batches, by seconds since a step to 30 and more."""
    curves = []
    for run in measured.control_runs().values():
        jump = next((s for s in sorted(run.commanded) if run.commanded[s] >= 30), None)
        before = [run.commanded[s] for s in run.commanded if jump and jump - 6 < s < jump - 2]
        if jump is not None and run.clean and max(before, default=99) <= 15:
            curves.append([run.processing.get(jump + after, 0.0) for after in range(41)])
    assert len(curves) >= 3
    return {after: statistics.mean(curve[after] for curve in curves) for after in range(41)}


def modelled_curve(seeds: int) -> dict[int, float]:
    base = [PlantPod("base", 0.0, limits_cores=1.0)]
    pods = base + [PlantPod(f"pod-{i:02}", 0.0, limits_cores=1.0) for i in range(36)]
    counts: dict[int, list[int]] = {after: [] for after in range(41)}
    for seed in range(seeds):
        model = plant.StreamPlant(PARAMETERS, arrivals.step(quiet_s=0.0), seed)
        model.step(0.0, base)
        model.begin(0.0)
        for after in range(1, 41):
            model.step(float(after), pods)
            counts[after].append(model.serving())
    return {after: statistics.mean(seen or [1]) for after, seen in counts.items()}


def test_serving_replicas_after_a_large_step_then_rise_in_the_measured_waves() -> None:
    real, modelled = measured_curve(), modelled_curve(seeds=20)
    seconds = [after for after in real if after >= 4]
    figure = r_squared([real[s] for s in seconds], [modelled[s] for s in seconds])
    for second in (4, 8, 12, 20, 25, 30, 40):
        print(second, "s measured", round(real[second], 1), "modelled", round(modelled[second], 1))
    print("mean replicas R2", round(figure, 3))
    assert figure > 0.85


@pytest.mark.parametrize("seed", [1, 2])
def test_share_of_starts_that_crash_then_is_the_measured_one(seed: int) -> None:
    from charon_operator.lab import luck

    starts = [
        start
        for ordinal in range(3000)
        for start in take_until(luck.starts(PARAMETERS, seed, ordinal), 60.0)
    ]
    lives = [life for run in measured.control_runs().values() for life in run.lives]
    real = sum(life.batch_s is None for life in lives) / len(lives)
    share = sum(start.serves_s is None for start in starts) / len(starts)
    print("crash share measured", round(real, 3), "modelled", round(share, 3))
    assert share == pytest.approx(real, abs=0.05)


def take_until(starts, end_s: float):
    for start in starts:
        if start.takes_s > end_s:
            return
        yield start
