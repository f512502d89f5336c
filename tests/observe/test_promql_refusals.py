"""What is refused before it is asked, where, and with which remedy."""

import promql_parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charon_operator.errors import QueryError
from charon_operator.observe import promql, scan, tree
from tests.observe import apps

# Sentence, query, start of the message, a word of the remedy.
REFUSED = [
    ("P1 syntax", "foo bar", "1:5: invalid promql query", "'bar'"),
    ("P2 second line", "a\n+ b c", "2:5: ", "'c'"),
    ("P3 ends too early", "a +", "1:4: ", "too early"),
    ("P4 unclosed", "sum(x", "1:4: unclosed '('", "')'"),
    ("P5 closed twice", "sum(x))", "1:7: unexpected ')'", "remove"),
    ("P6 crossed", "sum(x]", "1:6: unexpected ']'", "')'"),
    ("P7 string left open", 'x{a="b', "1:5: unterminated string", "close"),
    ("P8 value without quotes", "x{a=b}", "1:5: unexpected identifier", "expected string"),
    ("P9 unknown function", "sum(rated(x[5m]))", "1:5: unknown function", "spelling"),
    ("P10 wrong argument", "sum(rate(x)) + rate(x[5m])", "1:5: expected type matrix", "x[1m]"),
    ("P11 empty", "  # nothing", "1:1: the query is empty", "write PromQL"),
    ("P12 range", "x[5m]", "1:1: gives a range", "rate(...)"),
    ("P13 text", '"a"', "1:1: gives a text", "one value"),
    ("P14 reads nothing", "vector(1)", "1:1: reads no metric", "name a metric"),
    ("P15 or-matchers", 'x{a="1" or b="2"}', "1:9: `or` between matchers", "=~"),
    ("P16 at end", "x @ end()", "1:3: the @ modifier", "remove"),
    ("P17 at time", "rate(x[5m] @ 17)", "1:12: the @ modifier", "remove"),
    ("P18 future", "x offset -5m", "1:3: a negative offset", "positive"),
    ("P19 far past", "x offset 90d", "1:3: an offset above 32d", "shorter"),
    ("P20 long range", "rate(x[30d])", "1:7: a range above 1d", "recording rule"),
    ("P21 fine subquery", "max_over_time(rate(x[1m])[1d:10s])", "1:29: subqueries of", "step"),
    ("P22 nested subquery", "min_over_time(max_over_time(x[1h:])[1h:])", "1:33: a sub", "rule"),
    ("P23 fill", "x + fill(0) y", "1:5: fill makes up values", "remove"),
    ("P24 info", "info(x)", "1:1: info() reads series outside", "group_left"),
    ("P25 NUL", "x\x00", "1:2: control character U+0000", "remove"),
    ("P26 surrogate", 'x{a="\ud800"}', "1:6: control character U+D800", "remove"),
    ("P27 escape sequence", "x\x1b[0m", "1:2: control character U+001B", "remove"),
    ("P28 placeholder outside quotes", "rate(x[$w])", "1:8: a placeholder may", "quotes"),
    ("P29 unknown placeholder", 'x{a="$nam"}', "1:5: unknown placeholder $nam", "[$]"),
    ("P30 other namespace", 'x{namespace="kube-system"}', "1:13: the scope", "leave this matcher"),
    ("P31 not this namespace", 'x{namespace!="workload"}', "1:14: the scope", "leave"),
    ("P32 choice of others", 'x{namespace=~"a|b"}', "1:14: the scope", "leave"),
    ("P33 by placeholder", 'sum(x) / sum(y{namespace="$name"})', "1:26: the scope", "leave"),
    ("P34 length", "a" * 3000 + "+" + "b" * 1095 + " ", "1:1: longer than 4096 bytes", "rule"),
    ("P35 operators", "+".join("a" * 66), "1:130: more than 64 operators", "split"),
    ("P36 nesting", "(" * 65 + "a" + ")" * 65, "1:65: nested deeper than 64", "rule"),
    ("P37 selectors", "+".join(f"a{n}" for n in range(17)), "1:1: more than 16", "rule"),
    ("P38 regex", 'x{a=~"("}', "1:6: illegal regex", "'\"(\"'"),
    ("P39 arguments", "topk(x)", "1:6: wrong number of arguments", "cannot stand here"),
    ("P40 everything", "{}", "1:2: vector selector must contain", "matcher"),
    ("P41 subqueries", "+".join(["max_over_time(a[1d:2m])"] * 3), "1:19: subqueries of", "step"),
]  # fmt: skip


def _said_of(text: str) -> str:
    """What reading says; what only the scope can tell is said when the app is compiled."""
    try:
        promql.read(text, "f")
    except QueryError as error:
        return error.message
    return apps.refused(text)


@pytest.mark.parametrize(
    ("sentence", "text", "start", "remedy"), REFUSED, ids=lambda v: str(v)[:30]
)
def test_a_query_when_it_cannot_be_asked_then_place_and_remedy_are_named(
    sentence: str, text: str, start: str, remedy: str
) -> None:
    message = _said_of(text)
    assert message.startswith(start)
    assert remedy in message


@pytest.mark.parametrize(
    "text",
    [
        "x", "-x ^ 2", "x # comment with ( and $",
        'sum by (pod) (rate(x{a=~"b|c",d!="e"}[5m:30s]))',
        '{__name__="x"}', '{"foo.bar", a="b"}', 'x{a=`raw\\n`}', "x{a='q\"'}", 'x{or="b"}',
        "a / on (pod) group_left (z) b", "sum without (a) (x)", "x > bool 0x1F", "x offset 1m3ms",
        "quantile(0.9, x)", 'label_replace(x, "a", "$1", "b", "(.*)")', "x == 1e-7 or y unless z",
        'sum(x) by ("a b")', "histogram_quantile(0.9, sum by (le) (rate(x_bucket[1m])))",
        "a atan2 b", "+" * 63 + "a", "(" * 64 + "a" + ")" * 64, "x{a=\"\\x41\\u00e9\\n\"}", "sum{}",
    ],
)  # fmt: skip
def test_a_query_when_it_is_right_then_its_text_reads_back_as_its_tree(text: str) -> None:
    node = promql.read(text, "f")
    assert promql.same(tree.render(node), node)
    assert promql.read(tree.render(node), "f") == node


def test_a_query_when_its_form_is_newer_than_ours_then_it_is_refused_at_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(promql._COPIES, promql_parser.UnaryExpr)
    with pytest.raises(QueryError, match=r"1:2: UnaryExpr cannot be asked: write simpler"):
        promql.read(" -x", "f")


@given(st.text(alphabet="ab(){}[]\"'`\\#,+-*=~!<>@:.0159msdor $\n", max_size=60))
def test_any_text_when_read_then_it_is_a_tree_or_a_refusal_with_its_place(text: str) -> None:
    refusal: QueryError | None = None
    try:
        node = promql.read(text, "f")
    except QueryError as error:
        refusal = error
    if refusal is None:
        assert promql.same(tree.render(node), node)
        return
    line, column = (int(number) for number in refusal.message.split(":")[:2])
    before = sum(len(one) + 1 for one in text.split("\n")[: line - 1])
    assert refusal.position == before + column - 1 <= len(text)


@given(
    st.integers(60, 4096), st.sampled_from(["a+", "abs(", "(", "-", "{", "[", '"', "a,", "sum("])
)
def test_a_long_text_when_scanned_then_it_is_bounded_before_the_parser(
    size: int, unit: str
) -> None:
    text = (unit * size)[:size]
    try:
        tokens = scan.scan(text, "f")
    except QueryError:
        return
    assert sum(token.text in "+-" for token in tokens) <= scan.MAX_OPERATORS
