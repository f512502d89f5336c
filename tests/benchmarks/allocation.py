"""How long sharing out the GPUs of a cluster takes: many apps over nodes of five kinds.

    python -m tests.benchmarks.allocation --apps 200 --nodes 100

Half of the apps hold pods already, from a round of their own; there are fewer GPUs than are wanted.
The median of `--repeats` rounds counts. It computes and waits for nothing, so it is judged by its
CPU time, as the clock of a busy machine times the others too: the exit code is 1 when that is above
what is promised.
"""

# ruff: noqa: T201 — a benchmark prints
import argparse
import random
import statistics
import sys
import time
from dataclasses import replace

from charon_operator.decide.placement import allocate
from charon_operator.decide.placement.inventory import Stock
from charon_operator.model.claim import Claim
from charon_operator.names import GrantReason
from tests.decide import gpus

PROMISED_S = 1.0
_NOW_S = 10_000.0
# Product, GPUs of a node, capacity of one in units a second, cost of one.
KINDS = (
    ("A100", 8, 640.0, 8.0),
    ("H100", 8, 1600.0, 16.0),
    ("L40S", 4, 400.0, 4.0),
    ("T4", 2, 100.0, 1.0),
    ("MIG", 14, 90.0, 1.2),
)


def stock(nodes: int) -> Stock:
    """Empty nodes of all kinds."""
    found = []
    for number in range(nodes):
        product, count, _, _ = KINDS[number % len(KINDS)]
        found.append(gpus.node(f"n{number:03}", product, **{_device(product): count}))
    return gpus.stock(*found)


def claims(apps: int, seed: int) -> list[Claim]:
    """Apps of two to four variants, each for one kind of GPU; no two ask for the same CPU."""
    chance = random.Random(seed)
    return [_claim(number, chance) for number in range(apps)]


def _device(product: str) -> str:
    return "nvidia.com/mig-1g.5gb" if product == "MIG" else "nvidia.com/gpu"


def _claim(number: int, chance: random.Random) -> Claim:
    variants = []
    for product, _, capacity, cost in chance.sample(KINDS, chance.randint(2, 4)):
        count = 1 if product == "MIG" else chance.choice((1, 1, 2))
        need = gpus.need(product, cpu=100 + number, **{_device(product): count})
        quality = chance.choice((1.0, 0.97, 0.95))
        variants.append(
            gpus.variant(product.lower(), need, capacity * count, cost * count, quality, most=8)
        )
    return Claim(
        key=gpus.key(f"app-{number}"),
        priority=chance.choice((5.0, 10.0, 20.0)),
        wanted=chance.uniform(100.0, 6000.0),
        quality=chance.choice((0.0, 0.95, 0.96)),
        variants=tuple(variants),
        since_s=0.0,
    )


def settled(found: list[Claim], empty: Stock, chance: random.Random) -> tuple[list[Claim], Stock]:
    """The same apps where half of them were there first, and the demand has changed since."""
    first = found[: len(found) // 2]
    grants = allocate.allocate(first, empty, _NOW_S)
    left = empty.copy()
    known = []
    for claim in first:
        held = {}
        for one in claim.variants:
            placed = [left.place(one.need) for _ in range(grants[claim.key].counts[one.name])]
            held[one.name] = tuple(node for node in placed if node)
        wanted = (claim.wanted or 0.0) * chance.uniform(0.5, 2.0)
        known.append(replace(claim, held=held, wanted=wanted, is_met=chance.random() < 0.3))
    return [*known, *found[len(first) :]], left


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--apps", type=int, default=200)
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    found, left = settled(
        claims(given.apps, given.seed), stock(given.nodes), random.Random(given.seed)
    )
    wall, cpu = [], []
    for _ in range(given.repeats):
        start, busy = time.perf_counter(), time.process_time()
        grants = allocate.allocate(found, left, _NOW_S)
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - busy)
    median = statistics.median(cpu)
    reasons = {reason: 0 for reason in GrantReason}
    for grant in grants.values():
        reasons[grant.reason] += 1
    print(
        f"{given.apps} apps, {given.nodes} nodes of {len(KINDS)} kinds: {median:.3f} s of CPU, "
        f"{statistics.median(wall):.3f} s by the clock; {PROMISED_S:g} s is promised"
    )
    print(", ".join(f"{reason} {count}" for reason, count in reasons.items() if count))
    sys.exit(median > PROMISED_S)


if __name__ == "__main__":
    main()
