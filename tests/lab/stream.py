"""The shipped example and a small store, for the lab's tests."""

import dataclasses
from pathlib import Path

from charon_operator.lab import arrivals, example, parameters, samples, world

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "01-hold-a-queue"


def played() -> example.Example:
    return example.read(EXAMPLE)


def scene(seed: int = 0, load: arrivals.Arrivals | None = None, **changes) -> world.Scene:
    one = played()
    made = world.Scene(
        target=one.app.target,
        parameters=parameters.load(),
        arrivals=load or arrivals.step(),
        replicas=one.replicas,
        limit_cores=one.limit_cores,
        seed=seed,
        tail_s=60.0,
    )
    return dataclasses.replace(made, **changes)


def store(send_s: float = 0.0) -> samples.Store:
    return samples.Store({"namespace": "workload", "app": "consumer"}, send_s)
