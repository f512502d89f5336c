"""One question to the metric store, written once and compared by its text.

Reads: a tree. Gives: a `Term`, with what batching needs to know of it. Never: a text that does not
read back as exactly its tree.
"""

from dataclasses import dataclass

from charon_operator.errors import QueryError
from charon_operator.observe import merge, promql, tree


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """A question.

    Attributes:
        tenant: value of X-Scope-OrgID.
        text: what is asked.
        node: its tree.
        weight: nodes of the tree, a measure of what it costs the store to read it.
        mold: what it shares with others that differ in label values only.
    """

    tenant: str
    text: str
    node: tree.Node
    weight: int
    mold: merge.Mold | None

    @property
    def key(self) -> tuple[str, str]:
        """Terms with one key have one answer."""
        return self.tenant, self.text


def make(tenant: str, node: tree.Node, field: str) -> Term:
    """Write a tree down.

    Raises:
        QueryError: the text would not read back as that tree.
    """
    text = tree.render(node)
    if not promql.same(text, node):
        raise QueryError(field, "cannot be rewritten safely: write it in simpler terms")
    return Term(tenant, text, node, weight(node), merge.mold(node))


def weight(node: tree.Node) -> int:
    """Nodes of a tree."""
    return sum(1 for _ in tree.walk(node))
