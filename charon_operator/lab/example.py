"""Manifests of an example, read from disk: the app, its policy, the workload's own figures.

Reads: a YAML file or a folder of them. Gives: `Example`. Never: a cluster.
"""

import dataclasses
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from charon_operator import names
from charon_operator.errors import SimulationError, SpecError
from charon_operator.model.app import ChargedApp, Comparison, Objective
from charon_operator.model.policy import Controller, ControlPolicy


@dataclasses.dataclass(frozen=True, slots=True)
class Example:
    """What is played.

    Attributes:
        replicas: asked for at the beginning.
        limit_cores: CPU limit of a pod; None without one.
    """

    app: ChargedApp
    policy: ControlPolicy
    replicas: int
    limit_cores: float | None

    @property
    def objective(self) -> Objective:
        """The objective that is scored: the first one."""
        return self.app.spec.objectives[0]

    def under(self, law: str, parameters: Mapping[str, str]) -> "Example":
        """The same, driven by another law; everything else of the policy stays."""
        controller = Controller(type=law, parameters=dict(parameters))
        spec = self.policy.spec.model_copy(update={"controller": controller})
        return dataclasses.replace(self, policy=dataclasses.replace(self.policy, spec=spec))


def read(path: pathlib.Path) -> Example:
    """Read an example.

    Raises:
        SimulationError: it lacks an app or its policy, or one of them is broken; it says which.
    """
    bodies = list(_bodies(path))
    apps = [body for body in bodies if body.get("kind") == names.CHARGED_APP]
    if len(apps) != 1:
        raise SimulationError(f"{path}: needs one ChargedApp, and has {len(apps)}")
    try:
        app = ChargedApp.parse(apps[0])
        policy = ControlPolicy.parse(_policy(path, bodies, app))
    except SpecError as error:
        raise SimulationError(f"{path}: {error}") from None
    if app.spec.placement is not None:
        raise SimulationError(
            f"{path}: spec.placement: variants cannot be played, as no nodes are modelled; name "
            "one of them as spec.scaleTargetRef, with spec.replicas and spec.capacityPerReplica"
        )
    if app.spec.objectives[0].threshold.op is not Comparison.AT_MOST:
        raise SimulationError(
            f"{path}: the first objective must bound its indicator from above (LessThanOrEqual)"
        )
    workload = _named(bodies, app.target.kind, app.target.name)
    least = app.spec.bounds.min
    return Example(app, policy, max(_replicas(path, workload), least), _limit_cores(workload))


def _bodies(path: pathlib.Path) -> Iterable[Mapping[str, Any]]:
    files = sorted(path.glob("*.y*ml")) if path.is_dir() else [path]
    if not files:
        raise SimulationError(f"{path}: holds no YAML files")
    for file in files:
        try:
            for body in yaml.safe_load_all(file.read_text(encoding="utf-8")):
                if isinstance(body, dict):
                    yield _checked(file, body)
        except OSError as error:
            raise SimulationError(f"{file}: cannot be read: {error.strerror}") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise SimulationError(f"{file}: is not YAML: {str(error).splitlines()[0]}") from None


def _checked(file: pathlib.Path, body: Mapping[str, Any]) -> Mapping[str, Any]:
    for field in ("metadata", "spec"):
        if not isinstance(body.get(field) or {}, dict):
            kind = body.get("kind", "a document")
            raise SimulationError(f"{file}: {field} of {kind} must be a mapping of names to values")
    return body


def _policy(
    path: pathlib.Path, bodies: Iterable[Mapping[str, Any]], app: ChargedApp
) -> Mapping[str, Any]:
    wanted = app.spec.policy_ref.name
    found = _named(bodies, names.CONTROL_POLICY, wanted)
    if not found:
        raise SimulationError(f"{path}: the app names the ControlPolicy {wanted!r}; add it")
    return found


def _named(bodies: Iterable[Mapping[str, Any]], kind: str, name: str) -> Mapping[str, Any]:
    for body in bodies:
        if body.get("kind") == kind and (body.get("metadata") or {}).get("name") == name:
            return body
    return {}


def _replicas(path: pathlib.Path, workload: Mapping[str, Any]) -> int:
    """Replicas asked for at the beginning; one where the manifest does not say."""
    asked = (workload.get("spec") or {}).get("replicas")
    if asked is None:
        return 1
    if isinstance(asked, bool) or not isinstance(asked, int) or asked < 0:
        raise SimulationError(
            f"{path}: spec.replicas of the workload must be a whole number: {asked!r}"
        )
    return asked


def _limit_cores(workload: Mapping[str, Any]) -> float | None:
    """CPU limit of the first container; one core where no workload is given."""
    if not workload:
        return 1.0
    try:
        container = workload["spec"]["template"]["spec"]["containers"][0]
        text = str(container["resources"]["limits"]["cpu"])
        return float(text[:-1]) / 1000 if text.endswith("m") else float(text)
    except (KeyError, IndexError, TypeError):
        return None
    except ValueError:
        raise SimulationError("the workload's CPU limit is not a quantity such as 500m") from None
