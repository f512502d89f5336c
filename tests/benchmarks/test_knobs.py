"""The latency of the knobs: how moves and the journal are joined, and that the data are as told."""

import re
from dataclasses import replace

import pytest

from tests.benchmarks import knobs, table

SEEN = knobs.Seen("Resources", 300, 150, asked_s=1000.0, effect_s=1000.7, load1=0.5)
TURN = {"kind": "turn", "turn": "t-2", "time": 1000.2, "apps": []}
RESIZE = {"kind": "resize", "turn": "t-2", "time": 1000.3, "outcome": "Written"}
SIZED = {**RESIZE, "resize": {"final": [150, None]}}


@pytest.fixture(scope="module")
def kept() -> list[knobs.Row]:
    return list(table.read(knobs.FOLDER / "moves.csv", knobs.Row))


def test_move_is_joined_with_the_turn_that_decided_it() -> None:
    earlier = [{**TURN, "turn": "t-1", "time": 990.0}, {**SIZED, "turn": "t-1", "time": 990.1}]
    refused = {**SIZED, "outcome": "Conflict"}
    [row] = knobs.rows([SEEN], [*earlier, TURN, refused, SIZED])
    times = (row.asked_s, row.decided_s, row.written_s, row.effect_s)
    assert times == pytest.approx((0.0, 0.2, 0.3, 0.7))


def test_exchange_of_variants_is_the_write_that_makes_the_new_one() -> None:
    seen = replace(SEEN, knob="Placement", start=0, to=1)
    placed = {**RESIZE, "kind": "place"}
    made = {"consumer": {"asked": 1, "final": 1}, "other": {"asked": 0, "final": 1}}
    left = {"consumer": {"asked": 1, "final": 0}, "other": {"asked": 1, "final": 1}}
    told = [
        TURN,
        {**placed, "placing": {"variants": made}},
        {**placed, "time": 1000.6, "placing": {"variants": left}},
    ]
    [row] = knobs.rows([seen], told)
    assert row.written_s == pytest.approx(0.3)


def test_knob_that_is_slower_than_promised_is_named(kept: list[knobs.Row]) -> None:
    assert knobs.excesses(kept) == []
    slow = [replace(row, effect_s=row.effect_s + 2) for row in kept]
    [sentence] = knobs.excesses(slow)
    assert sentence.startswith("Resources: p50 is")


def test_kept_moves_are_in_order_and_at_least_twenty_of_a_kind(kept: list[knobs.Row]) -> None:
    for row in kept:
        assert row.asked_s <= row.decided_s <= row.written_s
        assert row.decided_s <= row.effect_s
    for knob in (knobs.Size, knobs.Replicas, knobs.Variants):
        of = [row for row in kept if row.knob == knob.name]
        # An exchange of variants is one whichever way it goes.
        counted = [row for row in of if row.to > row.start or knob is knobs.Variants]
        assert len(counted) >= 20
        assert {row.to for row in of} == set(knob.values)


def test_readme_names_every_column_and_quotes_what_the_command_says(kept: list[knobs.Row]) -> None:
    text = (knobs.FOLDER / "README.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == table.columns(knobs.Row)
    assert "\n".join(f"    {line}" for line in knobs.words(kept)) in text
