"""Parameters of the stream plant: read from a file that says where each figure comes from.

Reads: `data/plants/*.json`. Gives: `Parameters`. Never: a figure of its own.
"""

import dataclasses
import json
import pathlib
from typing import Any

from charon_operator.errors import SimulationError

DEFAULT = pathlib.Path(__file__).parents[2] / "data" / "plants" / "ptychonn-2024.json"


@dataclasses.dataclass(frozen=True, slots=True)
class Parameters:
    """The stream plant's figures; meaning, unit, error and origin of each stand in its file.

    Times in s, CPU in cores, frames and frames/s; shares and gains are numbers in 0..1.
    """

    overhead: float
    receive_cost: float
    inference_cost: float
    inference_share: float
    receive_limit: float
    receive_allowance: float
    unlimited_service: float
    unlimited_slope: float
    unlimited_drain: float
    node_ceiling: float
    node_slots: int
    batch: int
    batch_variation: float
    start_minimum: float
    first_wave_gain: float
    first_wave_dead_time: float
    first_wave_time_constant: float
    second_wave_gain: float
    second_wave_dead_time: float
    second_wave_time_constant: float
    crash_probability: float
    restart_gap: float
    later_gap: float
    warm_up_mu: float
    warm_up_sigma: float
    first_inference: float
    termination_grace: float
    resize_latency: float


def load(file: pathlib.Path = DEFAULT) -> Parameters:
    """Read a plant's parameters.

    Raises:
        SimulationError: the file cannot be read, or lacks a parameter; it says which.
    """
    try:
        entries = _entries(json.loads(file.read_text(encoding="utf-8")))
        names = [field.name for field in dataclasses.fields(Parameters)]
        figures: dict[str, Any] = {name: _value(entries, name) for name in names}
        return Parameters(**figures)
    except OSError as error:
        raise SimulationError(
            f"{file}: cannot be read ({error.strerror}); name a plant file with --plant"
        ) from None
    except ValueError as error:
        raise SimulationError(f"{file}: is not a plant file: {error}") from None


def _entries(content: Any) -> dict[str, Any]:
    entries = content.get("parameters") if isinstance(content, dict) else None
    if not isinstance(entries, dict):
        raise ValueError('it needs an object "parameters", as data/plants/ptychonn-2024.json has')
    return entries


def _value(entries: dict[str, Any], name: str) -> float:
    if name not in entries:
        raise ValueError(f"parameter {name} is missing")
    entry = entries[name]
    value = entry.get("value") if isinstance(entry, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"parameter {name} needs a number as its value")
    return value
