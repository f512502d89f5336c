"""The table of bad input, straight through the models: as if the API server had no schema."""

import pytest

from charon_operator import errors, names
from charon_operator.model.app import ChargedApp
from charon_operator.model.hold import Direction, Hold
from charon_operator.model.policy import ControlPolicy
from tests.model import bad_input, bad_rows


def parse(body: bad_input.Body) -> ChargedApp | ControlPolicy:
    kind = ChargedApp if body["kind"] == names.CHARGED_APP else ControlPolicy
    return kind.parse(body)


@pytest.mark.parametrize("row", bad_rows.ROWS, ids=lambda row: row.id)
def test_parse_names_the_field_or_survives(row: bad_input.Row) -> None:
    if row.field is None:
        parse(row.body)
        return
    with pytest.raises(errors.SpecError) as caught:
        parse(row.body)
    assert caught.value.field == row.field
    assert caught.value.message


def test_junk_for_a_direction_holds_everything() -> None:
    body = next(row for row in bad_rows.ROWS if "junk for a direction" in row.id).body
    app = parse(body)
    assert isinstance(app, ChargedApp)
    assert app.spec.holds[0].direction is Direction.BOTH


@pytest.mark.parametrize(
    ("until", "active"),
    [
        pytest.param("9999-12-31T23:59:59-05:00", True, id="past the last year of UTC"),
        pytest.param("0001-01-01T00:00:00+01:00", False, id="before its first"),
    ],
)
def test_hold_at_either_end_of_time_is_compared_all_the_same(until: str, active: bool) -> None:
    hold = Hold.model_validate({"name": "pause", "until": until})
    assert hold.active_at(1764000000.0) is active
