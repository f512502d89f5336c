"""Grafana's dashboards in helm/charon-operator/dashboards, rendered from code.

They are rendered here, beside the chart's other rendered files (`tests.ship.chart`,
`tests.ship.values_schema`): the renderer is a developer's tool, no part of the operator and its
image, nor of what `helm package` takes. `python -m tests.ship.dashboards` writes them; a test
compares.
"""

import json
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from tests.ship.dashboards import app, fleet, health, nodes

FOLDER = Path(__file__).parents[3] / "helm" / "charon-operator" / "dashboards"
_BOARDS = {"fleet": fleet.build, "app": app.build, "nodes": nodes.build, "health": health.build}


def files() -> dict[str, str]:
    """What each file must hold, by its name."""
    return {
        f"{name}.json": json.dumps(board, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        for name, board in boards().items()
    }


def boards() -> dict[str, dict[str, Any]]:
    """The boards as Grafana reads them, by the names of their files."""
    return {name: _numbered(build().build()) for name, build in _BOARDS.items()}


def _numbered(board: Any) -> dict[str, Any]:
    """As plain data, every panel with a number: links to a panel name it."""
    plain: dict[str, Any] = json.loads(JSONEncoder().encode(board))
    for number, panel in enumerate(plain["panels"], start=1):
        panel["id"] = number
    return plain
