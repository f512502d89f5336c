"""Nothing a name or a query says changes which series may be seen."""

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from charon_operator import settings
from charon_operator.errors import ConfigurationError
from charon_operator.observe import promql, queries, scope, tree
from tests.observe import apps

NASTY = [
    'x"} or vector(0) #', "\\", "\\n", "\x00", "🦊", "\u202e", ".*", "a|b", "$target", "${name}",
    '"', "`", "'", "}", "{", ',namespace="other"', "\n", "\\Q", "(?i)", "^$", "%s", "{{x}}", "a\\",
]  # fmt: skip
nasty = st.one_of(
    st.sampled_from(NASTY),
    st.text(max_size=40),
    st.lists(st.sampled_from(NASTY), max_size=4).map("".join),
)


def _scoped(text: str, found: scope.Scope, values: scope.Values) -> tree.Node:
    return scope.apply(promql.read(text, "f"), found, values)


DEFAULT = scope.Scope("t", (tree.Match("namespace", "=", "$namespace"),), ())
TEMPLATE = 'sum(x{a="$name",b=~"$target-.*",c!="${namespace}"}) / rate(y{d!~"$name"}[5m])'


@profile(max_examples=10_000)
@given(nasty, nasty, nasty)
def test_placeholders_when_names_are_nasty_then_the_matchers_are_exactly_ours(
    namespace: str, name: str, target: str
) -> None:
    if any("\ud800" <= character <= "\udfff" for character in namespace + name + target):
        return
    values = {"namespace": (namespace,), "name": (name,), "target": (target,)}
    node = _scoped(TEMPLATE, DEFAULT, values)
    text = tree.render(node)
    assert promql.same(text, node)
    assert [selector.matchers for selector in tree.selectors(node)] == [
        (
            tree.Match("__name__", "=", "x"),
            tree.Match("a", "=", name),
            tree.Match("b", "=~", scope.escape(target) + "-.*"),
            tree.Match("c", "!=", namespace),
            tree.Match("namespace", "=", namespace),
        ),
        (
            tree.Match("__name__", "=", "y"),
            tree.Match("d", "!~", scope.escape(name)),
            tree.Match("namespace", "=", namespace),
        ),
    ]


@profile(max_examples=2_000)
@given(nasty, st.sampled_from(["=", "!=", "=~", "!~"]))
def test_a_matcher_when_its_value_is_nasty_then_it_stays_one_value(value: str, op: str) -> None:
    selector = tree.Selector((tree.Match("__name__", "=", "x"), tree.Match("a", op, value)))
    if op in ("=~", "!~"):
        selector = dataclasses.replace(
            selector,
            matchers=(selector.matchers[0], tree.Match("a", op, scope.escape(value))),
        )
    if any("\ud800" <= character <= "\udfff" for character in value):
        assert not promql.same(tree.render(selector), selector)
        return
    assert promql.same(tree.render(selector), selector)


@given(st.text(alphabet='abx{}()=~"|,+ $namespacetrg[15m]', max_size=80))
def test_any_query_when_compiled_then_every_selector_carries_the_scope(text: str) -> None:
    if not text:
        return
    found = queries.compile_app(apps.app(text), settings.Mimir())
    if not isinstance(found, queries.AppQueries):
        return
    matcher = tree.Match("namespace", "=", "workload")
    terms = [
        term for one in found.indicators for term in (one.value, *one.freshness, *one.coverage)
    ]
    terms += [term for one in found.objectives for term in (one.good, one.observed)]
    for term in terms:
        asked = tree.selectors(promql.read(term.text, "f") if "[" not in term.text else term.node)
        assert all(matcher in selector.matchers for selector in asked)


def test_scope_when_the_query_says_the_same_then_the_matcher_is_there_once() -> None:
    one = apps.compiled(apps.app('x{namespace="$namespace"}'))
    assert one.indicators[0].value.text == 'x{namespace="workload"}'


def test_scope_when_the_query_narrows_it_by_pattern_then_both_matchers_hold() -> None:
    one = apps.compiled(apps.app('x{namespace=~"work.*"}'))
    assert one.indicators[0].value.text == 'x{namespace=~"work.*",namespace="workload"}'


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('x{app=~"$target"}', r'x{app=~"(?:c-fp32|c\\.fp16)",namespace="workload"}'),
        ('x{app!~"$target"}', r'x{app!~"(?:c-fp32|c\\.fp16)",namespace="workload"}'),
        ('x{pod=~"${target}-.*"}', r'x{pod=~"(?:c-fp32|c\\.fp16)-.*",namespace="workload"}'),
        ('x{app="$name"}', 'x{app="ptycho",namespace="workload"}'),
    ],
)
def test_target_of_an_app_with_variants_is_each_of_their_workloads(text: str, wanted: str) -> None:
    one = apps.compiled(apps.placed(text, targets=("c-fp32", "c.fp16")))
    assert one.indicators[0].value.text == wanted


@pytest.mark.parametrize(("op", "remedy"), [("=", "write =~ instead of ="), ("!=", "write !~")])
def test_target_of_several_workloads_in_an_equality_is_refused(op: str, remedy: str) -> None:
    app = apps.placed(f'sum(x{{app{op}"$target"}})', targets=("c-fp32", "c-fp16"))
    found = queries.compile_app(app, settings.Mimir())
    assert isinstance(found, tuple)
    assert found[0].field == "spec.indicators[q0].query"
    assert "$target stands for 2 workloads, one a variant" in found[0].message
    assert remedy in found[0].message


@pytest.mark.parametrize("targets", [("c-fp16",), ("c-fp16", "c-fp16")], ids=["one", "two kinds"])
def test_target_of_one_name_may_be_equal_to_it(targets: tuple[str, ...]) -> None:
    one = apps.compiled(apps.placed('x{app="$target"}', targets=targets))
    assert one.indicators[0].value.text == 'x{app="c-fp16",namespace="workload"}'


@profile(max_examples=2_000)
@given(st.lists(nasty, min_size=2, max_size=4, unique=True))
def test_any_of_several_names_is_matched_and_nothing_else(names: list[str]) -> None:
    values = {"namespace": ("n",), "name": ("a",), "target": tuple(names)}
    pattern = scope.fill("$target", "=~", values)
    tried = [*names, "".join(names), "|".join(names), ""]
    assert [one for one in tried if re.fullmatch(pattern, one)] == [
        one for one in tried if one in names
    ]


SCOPES = settings.Mimir(
    scopes=[
        settings.Scope(
            namespaces=["team-*"],
            tenant="teams",
            matchers=['namespace="$namespace"', 'cluster="c1"'],
            exceptions=[
                settings.Scope.Exemption(
                    metrics=["kube_*", "nginx_requests"],
                    matchers=['exported_namespace="$namespace"'],
                ),
                settings.Scope.Exemption(metrics=["global:*"], matchers=[]),
            ],
        )
    ]
)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("x", 'x{namespace="team-a",cluster="c1"}'),
        ("kube_pods", 'kube_pods{exported_namespace="team-a"}'),
        ('{__name__="kube_pods"}', 'kube_pods{exported_namespace="team-a"}'),
        ("global:load", "global:load"),
        ('{__name__=~"kube_.*"}', '{__name__=~"kube_.*",namespace="team-a",cluster="c1"}'),
        ('{__name__=~"global:.*",a="b"}', None),
    ],
)
def test_scope_when_a_metric_is_exempt_then_its_own_matchers_count(
    text: str, wanted: str | None
) -> None:
    one = apps.compiled(apps.app(text, namespace="team-a"), SCOPES)
    assert one.tenant == "teams"
    if wanted is None:  # a pattern of names is not a name: no exemption
        assert 'namespace="team-a"' in one.indicators[0].value.text
    else:
        assert one.indicators[0].value.text == wanted


def test_scope_when_none_covers_the_namespace_then_the_app_is_broken_and_says_so() -> None:
    found = queries.compile_app(apps.app("x", namespace="other"), SCOPES)
    assert isinstance(found, tuple)
    assert found[0].field == "metadata.namespace"
    assert "mimir.scopes" in found[0].message


@pytest.mark.parametrize(
    "matcher",
    ["", "namespace", 'a="b",c="d"', 'a="b" or c="d"', 'a="b"} or x{c="d"', 'a="$x"', "a=b"],
)
def test_a_scope_when_a_matcher_is_wrong_then_the_setting_is_named(matcher: str) -> None:
    mimir = settings.Mimir(scopes=[settings.Scope(matchers=[matcher])])
    with pytest.raises(ConfigurationError, match=r"mimir\.scopes\.0\.matchers"):
        scope.check(mimir)


def test_several_queries_when_wrong_then_each_is_named() -> None:
    found = queries.compile_app(apps.app("x", "y +", "z["), settings.Mimir())
    assert isinstance(found, tuple)
    assert [one.field for one in found] == [
        "spec.indicators[q1].query", "spec.indicators[q2].query"
    ]  # fmt: skip
