"""What the fleet keeps of one app between turns, beside the turn's own memory.

Reads: nothing. Gives: `Book`. Never: anything a decision stands on that is not in its facts.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from charon_operator.actuate.backoff import Backoff
from charon_operator.model.app import ChargedApp
from charon_operator.model.decision import Past
from charon_operator.model.facts import Broken
from charon_operator.model.policy import ControlPolicy
from charon_operator.model.reading import Attainment
from charon_operator.model.sizes import Sizes
from charon_operator.observe.queries import AppQueries
from charon_operator.record.metrics import View

Status = Mapping[str, Any]


@dataclass(slots=True)
class Told:
    """A status that was written by us.

    Attributes:
        status: as it is since then.
        at_s: when, monotonic.
        seen: what the informer showed at that moment; while it shows the same, ours is newer.
    """

    status: Status
    at_s: float
    seen: Status


@dataclass(slots=True, eq=False)
class Book:
    """One app. Times are monotonic seconds.

    Attributes:
        app, policy: as the snapshot has them.
        known_since_s: when this app (by uid) was first seen; nothing is written before a period.
        queries: compiled for `compiled`, or what is wrong with them.
        attainments: as last computed, and when that was asked.
        sampled: newest sample time by indicator, s since 1970.
        past: what its status told at the start, until the memory has it.
        view: facts and outcome of its last turn.
        moving: a move of its target is waiting or under way; it takes no turn meanwhile.
        telling: a status is waiting or under way.
        refused: why the last move was refused, else empty.
        sizes: of its pods, as last listed; None when that failed or nobody asked.
        listed_at_s: when its pods were last listed.
        listed_of: generation of the app and version of its target when `sizes` were listed.
        settled_at_s: when they were first seen settled since the last resize, s since 1970.
        resize_turn: the turn whose size its pods are brought to; empty while they may not be.
        resizing: a resize of its pods is waiting or under way.
        lock: one status at a time.
    """

    app: ChargedApp | Broken
    known_since_s: float
    policy: ControlPolicy | Broken | None = None
    compiled: tuple[str, int] | None = None
    queries: AppQueries | tuple[Broken, ...] = ()
    attainments: Mapping[str, Attainment] = field(default_factory=dict)
    attained_at_s: float | None = None
    sampled: dict[str, float] = field(default_factory=dict)
    past: Past = field(default_factory=Past)
    view: View | None = None
    told: Told | None = None
    written_at_s: float | None = None
    moving: bool = False
    telling: bool = False
    refused: str = ""
    moves: Backoff = field(default_factory=Backoff)
    statuses: Backoff = field(default_factory=Backoff)
    resizes: Backoff = field(default_factory=Backoff)
    sizes: Sizes | None = None
    listed_at_s: float = 0.0
    listed_of: tuple[int, str] | None = None
    settled_at_s: float | None = None
    resize_turn: str = ""
    resizing: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
