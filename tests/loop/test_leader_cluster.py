"""Two candidates for one Lease of a real API server, each with its own client and way to it."""

import asyncio
import contextlib
import json
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from charon_operator import testbed
from charon_operator.clients import kube
from charon_operator.loop.leader import Leader
from charon_operator.settings import Lease
from tests.faults import apifault
from tests.faults.apifault import Rule

pytestmark = pytest.mark.testbed

# As in production, but a fifth as long.
LIMITS = Lease(duration_seconds=3, renew_deadline_seconds=2, retry_seconds=0.4)
PATIENCE_S = 30.0
RULES = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: candidate, namespace: {namespace}}}
rules:
- {{apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, create, update]}}
"""


class SystemClock:
    """The time of this machine, as if its wall clock were wrong by some hours."""

    def __init__(self, wrong_by_s: float) -> None:
        self.wrong_by_s = wrong_by_s

    def wall_s(self) -> float:
        return time.time() + self.wrong_by_s

    def monotonic_s(self) -> float:
        return time.monotonic()


class Contest:
    """Two candidates, A behind a fault proxy, B direct; watches that never both lead."""

    def __init__(self, leaders: dict[str, Leader], proxy: apifault.ApiFault) -> None:
        self.leaders = leaders
        self.proxy = proxy
        self.both = False
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def enter(self, name: str) -> None:
        self._tasks[name] = asyncio.create_task(self.leaders[name].run())

    async def retire(self, *names: str) -> None:
        """Ends candidates as the operator does: who still renewed would take the Lease again."""
        tasks = [self._tasks[name] for name in names or self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def leads(self) -> set[str]:
        found = {name for name, leader in self.leaders.items() if leader.leading}
        self.both = self.both or len(found) > 1
        return found

    async def until(self, wanted: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not wanted():
            self.leads()
            if time.monotonic() > deadline:
                pytest.fail(f"waited for {what}; now leads: {self.leads() or 'nobody'}")
            await asyncio.sleep(0.01)

    async def until_leads(self, *names: str) -> None:
        await self.until(lambda: self.leads() == set(names), f"{names} to lead")


@pytest.fixture
def candidate(bed: testbed.Testbed, namespace: str) -> str:
    bed.kubectl("create", "serviceaccount", "candidate", "-n", namespace)
    bed.apply(RULES.format(namespace=namespace))
    binding = ["--role=candidate", f"--serviceaccount={namespace}:candidate", "-n", namespace]
    bed.kubectl("create", "rolebinding", "candidate", *binding)
    return namespace


@pytest.fixture
async def contest(bed: testbed.Testbed, candidate: str, tmp_path: Path) -> AsyncIterator[Contest]:
    trust = ssl.create_default_context(cafile=bed.ca_file)
    certificate = bed.serving_certificate(["127.0.0.1"])
    with apifault.ApiFault(bed.api_url, tls=certificate, trust=trust) as proxy:
        through = {"api_url": proxy.url, "ca_file": bed.serving_ca_file}
        account = (candidate, "candidate")
        configs = {
            "A": bed.service_account_kubeconfig(*account, tmp_path / "a", **through),
            "B": bed.service_account_kubeconfig(*account, tmp_path / "b"),
        }
        async with contextlib.AsyncExitStack() as stack:
            leaders = {}
            for name, config in configs.items():
                client = await stack.enter_async_context(await kube.connect(config))
                clock = SystemClock(wrong_by_s=3600 if name == "A" else -3600)
                lease = client.lease(candidate, "leader")
                leaders[name] = Leader(lease, LIMITS, clock, f"{name}-{secrets.token_hex(4)}")
            made = Contest(leaders, proxy)
            made.enter("A")
            await made.until_leads("A")
            made.enter("B")
            yield made
            await made.retire()
            assert not made.both


async def test_who_cannot_renew_stops_and_the_other_takes_over(contest: Contest) -> None:
    silence = Rule(resource="leases", do=apifault.actions.Silence())
    with contest.proxy.broken(silence):
        await contest.until_leads()
        await contest.until_leads("B")
    await contest.until(lambda: contest.leaders["A"].term is None, "A to see that B leads")
    assert contest.leads() == {"B"}


async def test_a_released_lease_is_taken_and_its_history_kept(
    contest: Contest, bed: testbed.Testbed, namespace: str
) -> None:
    await contest.until(lambda: bool(contest.leaders["B"]._record), "B to see the Lease")
    text = await asyncio.to_thread(bed.kubectl, "get", "lease", "leader", "-n", namespace, "-ojson")
    before = json.loads(text)["spec"]
    await contest.retire("A")
    await contest.leaders["A"].release()
    await contest.until_leads("B")
    text = await asyncio.to_thread(bed.kubectl, "get", "lease", "leader", "-n", namespace, "-ojson")
    after = json.loads(text)["spec"]
    assert after["holderIdentity"].startswith("B-")
    assert after["leaseTransitions"] == before["leaseTransitions"] + 1
    assert after["leaseDurationSeconds"] == 3


async def test_a_deleted_lease_comes_back_and_one_leads(
    contest: Contest, bed: testbed.Testbed, namespace: str
) -> None:
    await asyncio.to_thread(bed.kubectl, "delete", "lease", "leader", "-n", namespace)
    # An update makes a Lease that is not there; it is A's own, so nobody else's turn has come.
    text = ""
    while "A-" not in text:
        text = await asyncio.to_thread(
            bed.kubectl, "get", "lease", "-n", namespace, "-o", "jsonpath={..holderIdentity}"
        )
    await contest.until_leads("A")


async def test_a_stranger_in_the_lease_is_outwaited(
    contest: Contest, bed: testbed.Testbed, namespace: str
) -> None:
    patch = '{"spec": {"holderIdentity": "stranger"}}'
    await asyncio.to_thread(
        bed.kubectl, "patch", "lease", "leader", "-n", namespace, "--type=merge", "-p", patch
    )
    await contest.until_leads()
    await contest.until(lambda: len(contest.leads()) == 1, "somebody to lead")


@pytest.mark.parametrize("code", [401, 403, 404, 409, 422, 429, 500, 503])
async def test_whatever_is_answered_leadership_ends_or_stays_one(
    contest: Contest, code: int
) -> None:
    with contest.proxy.broken(Rule(resource="leases", do=apifault.refusal(code))):
        await contest.until_leads("B")
    await contest.until(lambda: contest.leaders["A"].term is None, "A to see that B leads")


async def test_a_renewal_applied_but_not_heard_of_costs_nothing(contest: Contest) -> None:
    lost = Rule(verbs=("update",), resource="leases", do=apifault.actions.LoseAnswer(), times=1)
    with contest.proxy.broken(lost) as rule:
        await contest.until(lambda: rule.hits == 1, "an answer to be lost")
    updates = len(contest.proxy.requests("update", resource="leases"))
    seen = contest.proxy.requests
    await contest.until(
        lambda: len(seen("update", resource="leases")) > updates + 3, "more renewals"
    )
    assert contest.leads() == {"A"}
