"""Parts of the bodies of the world's apps: what is measured of one, and what it is held to."""

from collections.abc import Mapping
from typing import Any


def indicators(units: Mapping[str, str], of: str = "$target") -> list[dict[str, Any]]:
    """An indicator a metric.

    Args:
        units: of each metric, by its name.
        of: what the label `app` of the metrics says.
    """
    return [
        {
            "name": name,
            "query": f'sum({name}{{app="{of}"}})',
            "unit": unit,
            "maxSampleAgeSeconds": 5,
        }
        for name, unit in units.items()
    ]


def objective(name: str, indicator: str, most: int) -> dict[str, Any]:
    """At most so much of an indicator, for half of every minute."""
    return {
        "name": name,
        "threshold": {"indicator": indicator, "op": "LessThanOrEqual", "value": str(most)},
        "setPoint": "100",
        "target": "50",
        "windowSeconds": 60,
    }


def stream(name: str, units: Mapping[str, str], of: str = "$target") -> dict[str, Any]:
    """The spec of an app that serves a queue, but for what of it is moved.

    Args:
        name: of its policy.
        units: of its metrics, `queued` and `arrivals` among them.
        of: what their label `app` says.
    """
    return {
        "policyRef": {"name": name},
        "indicators": indicators(units, of),
        "bindings": {"backlog": "queued", "arrivals": "arrivals"},
        "objectives": [objective("freshness", "queued", 140)],
    }
