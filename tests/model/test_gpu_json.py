"""Needs and nodes come back from their JSON as they were."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charon_operator.model import gpu_json
from charon_operator.model.body import Requirement
from charon_operator.model.gpu import Need, Node, Taint, Toleration

TEXT = st.text(max_size=5)
AMOUNTS = st.dictionaries(TEXT, st.integers(1, 2**40), max_size=4)
REQUIREMENTS = st.builds(
    Requirement,
    TEXT,
    st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]),
    st.frozensets(TEXT, max_size=3),
)
TERMS = st.lists(st.lists(REQUIREMENTS, max_size=2).map(tuple), max_size=2).map(tuple)
TOLERATIONS = st.builds(
    Toleration, key=TEXT, operator=st.sampled_from(["Equal", "Exists"]), value=TEXT, effect=TEXT
)
TAINTS = st.builds(Taint, key=TEXT, value=TEXT, effect=TEXT)
NEEDS = st.builds(
    Need,
    AMOUNTS.map(lambda found: tuple(sorted(found.items()))),
    TERMS | st.just(((),)),
    st.lists(TOLERATIONS, max_size=2).map(tuple),
    TEXT,
)
NODES = st.builds(
    Node,
    TEXT,
    AMOUNTS,
    st.dictionaries(TEXT, TEXT, max_size=3),
    st.lists(TAINTS, max_size=2).map(tuple),
    st.booleans(),
)


@given(NEEDS)
def test_need_comes_back(need: Need) -> None:
    row = json.loads(json.dumps(gpu_json.need_to_json(need)))
    assert gpu_json.need_from_json(row) == need


@given(NODES)
def test_node_comes_back(node: Node) -> None:
    row = json.loads(json.dumps(gpu_json.node_to_json(node)))
    assert gpu_json.node_from_json(node.name, row) == node


@pytest.mark.parametrize(
    ("terms", "written"), [(((),), False), ((), True), (((), ()), True)], ids=["any", "none", "two"]
)
def test_a_need_that_any_node_meets_is_not_one_that_none_does(
    terms: tuple[tuple[Requirement, ...], ...], written: bool
) -> None:
    row = gpu_json.need_to_json(Need((("pods", 1),), terms))
    assert ("terms" in row) is written
    assert gpu_json.need_from_json(row).terms == terms
