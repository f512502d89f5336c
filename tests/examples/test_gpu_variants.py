"""The example of GPU variants: what its README says of its costs is what mixes come to."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from charon_operator.cli import main
from charon_operator.decide.placement import mix
from charon_operator.decide.placement.mix import Aim, Mix, Variant
from charon_operator.model import gpu
from charon_operator.model.app import ChargedApp
from charon_operator.model.placement import Placement

FOLDER = Path(__file__).parents[2] / "examples" / "03-gpu-variants"
GPU, GPUS = "nvidia.com/gpu", 4
FILES = sorted(FOLDER.glob("*.yaml"))
BODIES = [body for file in FILES for body in yaml.safe_load_all(file.read_text(encoding="utf-8"))]
TEMPLATES: Mapping[str, Any] = {
    body["metadata"]["name"]: body["spec"]["template"]
    for body in BODIES
    if body["kind"] == "Deployment"
}


def placement() -> Placement:
    (body,) = [one for one in BODIES if one["kind"] == "ChargedApp"]
    found = ChargedApp.parse(body).spec.placement
    assert found is not None
    return found


def variants() -> dict[str, Variant]:
    return {
        one.name: Variant(
            one.name,
            gpu.need(TEMPLATES[one.scale_target_ref.name], "spec.template"),
            one.capacity_per_replica.value,
            one.cost_per_replica,
            one.quality,
            one.replicas.min,
            one.replicas.max,
        )
        for one in placement().variants
    }


def best(wanted: float, quality: float | None = None) -> Mix:
    """The cheapest mix on the GPUs there are, else the one that serves most."""
    known, aim = variants(), Aim(wanted, placement().min_quality if quality is None else quality)
    found = [
        mix.cheapest(
            [known["fp32"].within(few), known["fp16"].within(GPUS - few), known["cpu"]], aim
        )
        for few in range(GPUS + 1)
    ]
    return min(found, key=lambda one: (not one.reaches, one.cost))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (60.0, {"fp32": 1, "fp16": 0, "cpu": 0}),
        (250.0, {"fp32": 4, "fp16": 0, "cpu": 0}),
        (320.0, {"fp32": 3, "fp16": 1, "cpu": 0}),
        (500.0, {"fp32": 0, "fp16": 4, "cpu": 0}),
        (600.0, {"fp32": 0, "fp16": 4, "cpu": 6}),
    ],
)
def test_cheapest_mix_goes_from_fp32_over_fp16_to_cpus(
    wanted: float, expected: Mapping[str, int]
) -> None:
    found = best(wanted)
    assert found.reaches
    assert found.counts == expected


def test_least_quality_of_98_percent_lets_fp16_serve_two_thirds_at_most() -> None:
    shares = [
        found.counts["fp16"] * 128 / found.capacity
        for found in (best(wanted, 0.98) for wanted in range(20, 500, 20))
    ]
    assert max(shares) == pytest.approx(2 / 3)


def test_only_what_is_said_to_need_a_gpu_needs_one() -> None:
    needs = {name: dict(one.need.requests).get(GPU, 0) for name, one in variants().items()}
    assert needs == {"fp32": 1, "fp16": 1, "cpu": 0}


@pytest.mark.parametrize("verb", ["simulate", "compare"])
def test_lab_says_that_variants_are_not_played(verb: str) -> None:
    result = CliRunner().invoke(main, [verb, str(FOLDER)])
    assert result.exit_code == 1
    assert "spec.placement: variants cannot be played, as no nodes are modelled" in result.output
