"""How long to leave a target alone after a write that failed.

Reads: outcomes of writes. Gives: seconds. Never: a wait that outlives a new spec (the fleet drops
the state with the generation).
"""

from dataclasses import dataclass
from typing import Final

from charon_operator.ports import WriteOutcome

# Rights, quotas and admission policies are mended by people.
_REFUSED_FIRST_S: Final = 5.0
_REFUSED_MOST_S: Final = 300.0
# A server that is back must find us soon, and must not be stormed while it comes up.
_UNREACHABLE_FIRST_S: Final = 1.0
_UNREACHABLE_MOST_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """Failures of one kind in a row, and when the next try may be (monotonic seconds).

    Attributes:
        refused: which kind: refused by the server, or not answered by it.
    """

    failures: int = 0
    until_s: float = 0.0
    refused: bool = False

    def after(self, outcome: WriteOutcome, now_s: float) -> "Backoff":
        """The state after one more outcome, at a monotonic time."""
        match outcome:
            case WriteOutcome.REFUSED:
                return self._longer(now_s, _REFUSED_FIRST_S, _REFUSED_MOST_S, refused=True)
            case WriteOutcome.UNREACHABLE | WriteOutcome.CONFLICT:
                first_s, most_s = _UNREACHABLE_FIRST_S, _UNREACHABLE_MOST_S
                return self._longer(now_s, first_s, most_s, refused=False)
            case WriteOutcome.WRITTEN | WriteOutcome.GONE:
                return Backoff()

    def _longer(self, now_s: float, first_s: float, most_s: float, *, refused: bool) -> "Backoff":
        # An outage before a refusal must not make that one count as the tenth.
        failures = self.failures if refused == self.refused else 0
        wait_s = min(most_s, first_s * 2.0 ** min(failures, 16))
        return Backoff(failures + 1, now_s + wait_s, refused)
