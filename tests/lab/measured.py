"""The real measurements of 2024, where they lie beside the checkout."""

import csv
import dataclasses
import pathlib
from collections import defaultdict

import pytest

FOLDER = pathlib.Path(__file__).parents[3] / "shared" / "data" / "charon-2024"
needs_data = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the measurements (../shared/data/charon-2024) are not here"
)


@dataclasses.dataclass
class Life:
    """One process: when it took frames first, finished its first batch, was last heard (s)."""

    name: str
    first_s: float
    batch_s: float | None
    last_s: float
    arrivals: dict[int, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Run:
    """One control run, by second."""

    lives: list[Life]
    arrivals: dict[int, float]
    queue: dict[int, float]
    processing: dict[int, float]
    commanded: dict[int, float]
    clean: bool


def rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(newline="") as lines:
        return list(csv.DictReader(lines))


def control_runs() -> dict[str, Run]:
    runs = {
        row["run_id"]: Run([], {}, {}, {}, {}, clean=row["notes"] == "")
        for row in rows("runs.csv")
        if row["family"] == "pd_replica_control"
    }
    _read_series(runs)
    _read_lives(runs)
    return runs


def _read_series(runs: dict[str, Run]) -> None:
    for row in rows("control_1hz.csv"):
        run, second = runs[row["run_id"]], int(row["t_s"])
        run.arrivals[second] = float(row["arrivals_fps"] or 0)
        run.queue[second] = float(row["queue_frames"] or 0)
        run.processing[second] = float(row["processes_completing_batches"] or 0)
        run.commanded[second] = float(row["replicas_commanded"] or 0)


def _read_lives(runs: dict[str, Run]) -> None:
    shares: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    for row in rows("process_1hz.csv"):
        shares[row["run_id"], row["process"]][int(row["t_s"])] = float(row["arrivals"] or 0)
    for row in rows("process_lifecycle.csv"):
        if row["run_id"] not in runs or not row["first_queue_event_s"]:
            continue
        batch_s = float(row["first_batch_s"]) if row["first_batch_s"] else None
        life = Life(
            row["process"],
            float(row["first_queue_event_s"]),
            batch_s,
            float(row["last_event_s"]),
            shares[row["run_id"], row["process"]],
        )
        runs[row["run_id"]].lives.append(life)
