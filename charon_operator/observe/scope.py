"""What an app may see: placeholders are filled in, the administrator's matchers put everywhere.

Reads: a tree, an app, the scopes of the operator's configuration. Gives: a tree whose every
selector carries the scope. Never: a user's matcher that widens or contradicts it.
"""

import fnmatch
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, NoReturn

from charon_operator import settings
from charon_operator.errors import ConfigurationError, QueryError
from charon_operator.model.app import ChargedApp
from charon_operator.observe import promql, scan, tree

_PLACEHOLDER: Final = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_KNOWN: Final = "$namespace, $name and $target"
# Names by placeholder: one each, but for the targets of an app with several variants.
Values = Mapping[str, tuple[str, ...]]
# What Go's regexp.QuoteMeta escapes.
_META: Final = re.compile(r"[\\.+*?()|\[\]{}^$]")
# Functions that give series other labels than they had.
_WRITERS: Final = frozenset({"label_replace", "label_join", "count_values"})
# An alternative of plain names: the one kind of pattern judged here without a regex engine.
_PLAIN_CHOICE: Final = re.compile(r"[A-Za-z0-9_-]+(\|[A-Za-z0-9_-]+)*", re.ASCII)


class ScopeError(Exception):
    """A query that the scope does not allow; `label` and `value` of the matcher at fault."""

    def __init__(self, message: str, value: str = "") -> None:
        super().__init__(message)
        self.value = value


@dataclass(frozen=True, slots=True)
class Scope:
    """A scope of the configuration, read; `exemptions` are (metric patterns, matchers)."""

    tenant: str
    matchers: tuple[tree.Match, ...]
    exemptions: tuple[tuple[tuple[str, ...], tuple[tree.Match, ...]], ...]

    def of(self, selector: tree.Selector) -> tuple[tree.Match, ...]:
        """The matchers that this selector must carry."""
        found = self.exemption(selector)
        return self.matchers if found is None else found

    def exemption(self, selector: tree.Selector) -> tuple[tree.Match, ...] | None:
        """The matchers of the first exemption for this metric; None where none applies."""
        metric = selector.metric
        if metric is None:
            return None
        for patterns, matchers in self.exemptions:
            if any(fnmatch.fnmatchcase(metric, pattern) for pattern in patterns):
                return matchers
        return None


def placeholders(app: ChargedApp) -> Values:
    """What the placeholders stand for in the queries of an app."""
    return {
        "namespace": (app.key.namespace,),
        "name": (app.key.name,),
        # Two kinds may have a workload of the same name.
        "target": tuple(dict.fromkeys(target.name for target in app.targets)),
    }


def find(namespace: str, mimir: settings.Mimir) -> Scope | None:
    """The first scope whose patterns match a namespace, read; None where none does.

    Raises:
        ConfigurationError: that scope has a matcher that is not one.
    """
    for index, scope in enumerate(mimir.scopes):
        if any(fnmatch.fnmatchcase(namespace, pattern) for pattern in scope.namespaces):
            return _read(scope, index)
    return None


def check(mimir: settings.Mimir) -> None:
    """Read every scope once, so that a wrong one stops the operator at its start.

    Raises:
        ConfigurationError: names the setting and the remedy.
    """
    for index, scope in enumerate(mimir.scopes):
        _read(scope, index)


def _read(scope: settings.Scope, index: int) -> Scope:
    place = f"mimir.scopes.{index}"
    exemptions = tuple(
        (
            tuple(exemption.metrics),
            _matchers(tuple(exemption.matchers), f"{place}.exceptions.{number}.matchers"),
        )
        for number, exemption in enumerate(scope.exceptions)
    )
    return Scope(scope.tenant, _matchers(tuple(scope.matchers), f"{place}.matchers"), exemptions)


@functools.lru_cache(maxsize=1024)
def _matchers(texts: tuple[str, ...], field: str) -> tuple[tree.Match, ...]:
    try:
        found = tuple(promql.matcher(text, field) for text in texts)
        for match in found:
            fill(match.value, match.op, dict.fromkeys(("namespace", "name", "target"), ("",)))
    except QueryError as error:
        raise ConfigurationError(f"{field}: {error.message}") from None
    except ScopeError as error:
        raise ConfigurationError(f"{field}: {error}") from None
    return found


def fill(value: str, op: str, values: Values) -> str:
    """Put names in the place of placeholders; in a pattern (=~, !~) they stand for themselves.

    Raises:
        ScopeError: a placeholder that does not exist, or one of several names in = or !=.
    """

    def name(found: re.Match[str]) -> str:
        names = values.get(found[1] or found[2])
        if names is None:
            message = f"unknown placeholder {found[0]}: {_KNOWN} exist; write [$] for a dollar sign"
            raise ScopeError(f"{message}, with =~", value)
        if op in ("=~", "!~"):
            choice = "|".join(escape(one) for one in names)
            return choice if len(names) == 1 else f"(?:{choice})"
        if len(names) > 1:
            pattern = "=~" if op == "=" else "!~"
            message = f"{found[0]} stands for {len(names)} workloads, one a variant"
            raise ScopeError(f"{message}: write {pattern} instead of {op}", value)
        return names[0]

    return _PLACEHOLDER.sub(name, value)


def escape(text: str) -> str:
    """A pattern that matches this text and nothing else."""
    return _META.sub(r"\\\g<0>", text)


def apply(node: tree.Node, scope: Scope, values: Values) -> tree.Node:
    """Fill in the placeholders and put the scope's matchers into every selector.

    Args:
        node: a query as `promql.read` gives it.
        scope: of the app's namespace.
        values: of the placeholders.

    Raises:
        ScopeError: an unknown placeholder, or a matcher that contradicts the scope.
    """

    def enclose(selector: tree.Selector) -> tree.Selector:
        own = [_filled(match, values) for match in selector.matchers]
        filled = replace(selector, matchers=tuple(own))
        required = [_filled(match, values) for match in scope.of(filled)]
        for raw, match in zip(selector.matchers, own, strict=True):
            _refuse_contradiction(required, match, raw.value)
        added = tuple(match for match in required if match not in own)
        return replace(filled, matchers=(*own, *added))

    return tree.rewrite(node, enclose)


def _filled(match: tree.Match, values: Values) -> tree.Match:
    return replace(match, value=fill(match.value, match.op, values))


def _refuse_contradiction(required: list[tree.Match], own: tree.Match, raw: str) -> None:
    for match in required:
        if match.label == own.label and _contradicts(match, own):
            wanted = f"{match.label}={tree.quote(match.value)}"
            message = f"the scope of this namespace is {wanted}: leave this matcher out"
            raise ScopeError(message, raw)


def _contradicts(required: tree.Match, own: tree.Match) -> bool:
    """Whether nothing can match both; patterns that are no plain choice are left to the store."""
    if required.op != "=":
        return False
    plain = bool(_PLAIN_CHOICE.fullmatch(own.value))
    chosen = required.value in own.value.split("|")
    match own.op:
        case "=":
            return own.value != required.value
        case "!=":
            return own.value == required.value
        case "=~":
            return plain and not chosen
        case _:
            return plain and chosen


def carries(node: tree.Node, scope: Scope, values: Values) -> bool:
    """Whether every selector of a tree has all matchers of the scope."""
    return all(
        _filled(match, values) in selector.matchers
        for selector in tree.selectors(node)
        for match in scope.of(selector)
    )


def told(node: tree.Node, scope: Scope, values: Values) -> Mapping[str, str]:
    """Labels that an answer may leave out but not contradict: those that all its series have.

    None where the query writes labels of its own, or reads what is exempt from the scope.
    """
    writes = any(_writes_labels(part) for part in tree.walk(node))
    exempt = any(scope.exemption(selector) is not None for selector in tree.selectors(node))
    if writes or exempt:
        return {}
    filled = (_filled(match, values) for match in scope.matchers)
    return {match.label: match.value for match in filled if match.op == "="}


def _writes_labels(node: tree.Node) -> bool:
    match node:
        case tree.Call(function=name) | tree.Aggregate(op=name):
            return name in _WRITERS
    return False


def refuse(error: ScopeError, text: str, field: str) -> NoReturn:
    """Refuse a query that the scope does not allow, at the matcher at fault.

    Raises:
        QueryError: always.
    """
    tokens = scan.scan(text, field)
    places = [
        token.start
        for token in tokens
        if token.kind is scan.Kind.STRING and token.within == "{"
        if error.value and token.text[1:-1] == error.value
    ]
    scan.refuse(text, field, min(places, default=tokens[0].start), str(error))
