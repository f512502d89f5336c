"""The report of a contest: one HTML file that needs no other.

Reads: a Contest, its picture. Gives: HTML. Never: a script or an address to load from.
"""

import base64
from collections.abc import Sequence

import jinja2

from charon_operator.lab import contest as contests
from charon_operator.lab import scorecard
from charon_operator.lab.contest import Contest

_PAGE = jinja2.Environment(
    loader=jinja2.PackageLoader("charon_operator.lab", "pages"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def html(contest: Contest, title: str, picture: bytes, notes: Sequence[str]) -> str:
    """Render it; `notes` are sentences about how it was run."""
    rows = scorecard.table(contest)
    return _PAGE.get_template("report.html").render(
        title=title,
        contest=contest,
        head=rows[0],
        rows=rows[1:],
        bound=contests.NEAR,
        yardstick=scorecard.yardstick(contest),
        picture=base64.b64encode(picture).decode(),
        changes=contests.changes(contest.subject),
        notes=notes,
    )
