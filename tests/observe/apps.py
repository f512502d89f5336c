"""ChargedApps for the tests of this room."""

import dataclasses

from charon_operator import settings
from charon_operator.model.app import ChargedApp, ChargedAppSpec
from charon_operator.observe import queries


def app(
    *texts: str,
    namespace: str = "workload",
    name: str = "ptycho",
    target: str = "consumer",
    coverage: str = "None",
    max_age_s: int = 15,
    threshold: str = "600",
    window_s: int = 3600,
) -> ChargedApp:
    """An app with an indicator per text (q0, q1, ...) and one objective on the first."""
    indicators = [
        {
            "name": f"q{index}",
            "query": text,
            "maxSampleAgeSeconds": max_age_s,
            "coverage": coverage,
        }
        for index, text in enumerate(texts)
    ]
    bound = {"indicator": "q0", "op": "LessThanOrEqual", "value": threshold}
    objective = {"name": "promise", "threshold": bound, "target": "95", "windowSeconds": window_s}
    spec = {
        "policyRef": {"name": "stream"},
        "scaleTargetRef": {"kind": "Deployment", "name": target},
        "indicators": indicators,
        "objectives": [objective],
        "replicas": {"min": 1, "max": 10},
    }
    meta = {"namespace": namespace, "name": name, "uid": f"{namespace}/{name}", "generation": 1}
    return ChargedApp.parse({"metadata": meta, "spec": spec})


def placed(text: str, targets: tuple[str, ...]) -> ChargedApp:
    """An app with a variant a target, in Deployments and StatefulSets by turns."""
    one = app(text)
    variants = [
        {
            "name": f"v{index}",
            "scaleTargetRef": {"kind": ("Deployment", "StatefulSet")[index % 2], "name": target},
            "capacityPerReplica": {"value": "64"},
            "costPerReplica": "8",
            "replicas": {"max": 4},
        }
        for index, target in enumerate(targets)
    ]
    taken = {"scaleTargetRef": None, "replicas": None, "placement": {"variants": variants}}
    given = one.spec.model_dump(by_alias=True, exclude_none=True)
    spec = ChargedAppSpec.read({**given, **taken}, "spec")
    return dataclasses.replace(one, spec=spec)


def compiled(one: ChargedApp, mimir: settings.Mimir | None = None) -> queries.AppQueries:
    """Its queries, which must be right."""
    found = queries.compile_app(one, mimir or settings.Mimir())
    assert isinstance(found, queries.AppQueries), found
    return found


def refused(text: str, mimir: settings.Mimir | None = None, **given: str) -> str:
    """What is said of a query that must be refused."""
    found = queries.compile_app(app(text, **given), mimir or settings.Mimir())
    assert isinstance(found, tuple), found
    assert [one.field for one in found] == ["spec.indicators[q0].query"]
    return found[0].message
