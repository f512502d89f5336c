"""Labels of single namespaces, where not all are for us to list: a kill switch is among them.

Reads: each namespace by its name. Gives: `read`: labels to the snapshot, and what hinders it, a
sentence each. Never: a namespace without labels because nobody answers for it; until somebody has,
the snapshot is not synced and nothing is written.
"""

import asyncio
from collections.abc import Sequence

from charon_operator.clients import kube
from charon_operator.loop.store import Kind, Store
from charon_operator.model import body as bodies
from charon_operator.model.workload import Key


async def read(client: kube.KubeClient, store: Store, namespaces: Sequence[str]) -> tuple[str, ...]:
    """Read them all at once, so that one that hangs holds up no other."""
    told = await asyncio.gather(*(_one(client, store, name) for name in namespaces))
    return tuple(problem for problem in told if problem)


async def _one(client: kube.KubeClient, store: Store, namespace: str) -> str:
    answer = await client.get(f"/api/v1/{Kind.NAMESPACES}/{namespace}")
    key = Key("", namespace)
    if answer.ok and bodies.key(answer.body) == key:
        store.listed(Kind.NAMESPACES, [answer.body])
    elif not (answer.says(403) or answer.says(404)):
        said = answer.status or "nothing"
        return f"namespace {namespace} cannot be read: the API server answers {said}"
    # It is answered for; what was known of one that is hidden or gone by now stays.
    store.relisted(Kind.NAMESPACES, [key], namespace)
    if answer.says(403):
        return (
            f"namespace {namespace} may not be read: its labels are not heeded, "
            "grant the operator get on it"
        )
    return ""
