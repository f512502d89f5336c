"""Everything that can be known of resources without a cluster.

Reads: documents of manifests. Gives: `Finding`s. Never: a judgement that the API server or the
operator would not make; both use the same models, laws and queries.
"""

import contextlib
import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from charon_operator import errors, names, settings
from charon_operator.cli.manifest import Document
from charon_operator.decide import problems
from charon_operator.laws import registry
from charon_operator.model import crd, wire
from charon_operator.model.app import ChargedApp, ChargedAppSpec
from charon_operator.model.facts import AppFacts, Broken
from charon_operator.model.policy import ControlPolicy, ControlPolicySpec
from charon_operator.model.workload import Key
from charon_operator.observe import queries

_SPECS: Final[Mapping[str, type[ChargedAppSpec | ControlPolicySpec]]] = {
    names.CHARGED_APP: ChargedAppSpec,
    names.CONTROL_POLICY: ControlPolicySpec,
}
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", re.ASCII)
_NAME_LENGTH: Final = 63


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to mend, or (`note`) to know."""

    file: str
    line: int
    resource: str
    field: str
    message: str
    note: bool = False


@dataclass(slots=True)
class Resource:
    """A resource of ours, with what was found in it so far."""

    file: str
    document: Document
    kind: str
    key: Key
    findings: list[Finding] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.kind} {self.key}"

    def find(self, path: str, message: str, *, note: bool = False) -> None:
        """Keep a finding; one for a field is enough."""
        if all(one.field != path for one in self.findings):
            line = self.document.line_of(path)
            self.findings.append(Finding(self.file, line, self.name, path, message, note))


def ours(file: str, document: Document) -> Resource | Finding | None:
    """A resource of our API group; a finding for what claims to be one; None for all else."""
    body = document.body
    line = document.line_of()
    if not isinstance(body, dict) or not isinstance(body.get("apiVersion"), str):
        return Finding(file, line, "", "apiVersion", "is missing: this is no Kubernetes resource")
    group, _, version = body["apiVersion"].partition("/")
    if group != names.GROUP:
        return None
    kind = str(body.get("kind"))
    if version != names.VERSION or kind not in _SPECS:
        known = f"{names.API_VERSION} with kind {' or '.join(_SPECS)}"
        return Finding(
            file, line, "", "apiVersion", f"{group}/{version} {kind} is unknown: {known}"
        )
    meta = wire.metadata(body)
    key = Key(str(meta.get("namespace", "default")), str(meta.get("name", "")))
    return Resource(file, document, kind, key)


def check(resources: Sequence[Resource], mimir: settings.Mimir) -> list[Finding]:
    """Check resources, each alone and then each app with its policy.

    Args:
        resources: of all files together.
        mimir: the administrator's scopes, which queries must fit into.
    """
    for one in resources:
        _check_alone(one)
    _check_names_once(resources)
    policies = {one.key: one for one in resources if one.kind == names.CONTROL_POLICY}
    for one in resources:
        with contextlib.suppress(errors.SpecError):  # said already, with all others of its kind
            if one.kind == names.CHARGED_APP:
                app = ChargedApp.parse(one.document.body)
                _check_queries(one, app, mimir)
                _check_with_policy(one, app, policies)
            else:
                _check_law(one, ControlPolicy.parse(one.document.body))
    return [finding for one in resources for finding in one.findings]


def _check_alone(one: Resource) -> None:
    body = one.document.body
    if not _NAME.fullmatch(one.key.name) or len(one.key.name) > _NAME_LENGTH:
        message = "is required: at most 63 lower-case letters, digits, '-' and '.'"
        one.find("metadata.name", message)
    schema = crd.schemas()[one.kind]
    without_others = {k: v for k, v in body.items() if k not in ("metadata", "status")}
    for path, message in against(without_others, schema, ""):
        one.find(path, message)
    if not isinstance(body.get("spec"), dict):
        one.find("spec", "is required and must be a mapping with fields")
        return
    for problem in _SPECS[one.kind].problems(body["spec"], "spec"):
        one.find(problem.field, problem.message)


def against(value: Any, schema: crd.Schema, path: str) -> Iterator[tuple[str, str]]:
    """What the API server's strict validation refuses and the models are lenient about."""
    if "enum" in schema and isinstance(value, str) and value not in schema["enum"]:
        yield path, f"must be one of {', '.join(schema['enum'])}"
    if isinstance(value, dict):
        yield from _fields_against(value, schema, path)
    elif isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            name = item.get("name") if isinstance(item, dict) else None
            place = name if isinstance(name, str) else index
            yield from against(item, schema["items"], f"{path}[{place}]")


def _fields_against(
    value: Mapping[Any, Any], schema: crd.Schema, path: str
) -> Iterator[tuple[str, str]]:
    known = schema.get("properties")
    for name, child in value.items():
        here = f"{path}.{name}" if path else str(name)
        if known is not None and name in known:
            yield from against(child, known[name], here)
        elif known is not None:
            close = difflib.get_close_matches(str(name), known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
            yield here, f"is no field of this; {hint}"


def _check_names_once(resources: Sequence[Resource]) -> None:
    seen: dict[tuple[str, Key], Resource] = {}
    for one in resources:
        first = seen.setdefault((one.kind, one.key), one)
        if first is not one:
            place = f"{first.file}:{first.document.line_of()}"
            one.find("metadata.name", f"is there twice, first in {place}")


def _check_queries(one: Resource, app: ChargedApp, mimir: settings.Mimir) -> None:
    made = queries.compile_app(app, mimir)
    if isinstance(made, tuple):
        for broken in made:
            one.find(broken.field, broken.message)


def _check_law(one: Resource, policy: ControlPolicy) -> None:
    given = policy.spec.controller
    try:
        registry.check_parameters(registry.find(given.type), given.parameters)
    except errors.ParameterError as error:
        one.find(error.field, error.message)


def _check_with_policy(one: Resource, app: ChargedApp, policies: Mapping[Key, Resource]) -> None:
    name, space = app.spec.policy_ref.name, one.key.namespace
    policy = policies.get(Key(space, name))
    if policy is None and any(key.namespace == space for key in policies):
        given = ", ".join(key.name for key in policies if key.namespace == space)
        one.find("spec.policyRef.name", f"no ControlPolicy {name} in {space}; there are: {given}")
    elif policy is None:
        message = f"ControlPolicy {name} is not among these files: not checked together"
        one.find("spec.policyRef.name", message, note=True)
    else:
        facts = AppFacts(app, ControlPolicy.parse(policy.document.body))
        found = problems.check(facts, settings.Safety())
        # What is wrong with the policy alone is said there, once.
        if isinstance(found, Broken) and not found.field.startswith(names.CONTROL_POLICY):
            one.find(found.field, found.message)
