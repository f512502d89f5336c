"""The demo's folder: what is not a demo's stays, and two demos do not share it."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from charon_operator.cli import demo_stage, main
from charon_operator.errors import TestbedError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["testbed/thesis.tex", "journal.jsonl"])
def test_folder_when_it_holds_what_is_no_demos_then_it_stays_and_another_is_asked_for(
    tmp_path: Path, name: str
) -> None:
    mine = tmp_path / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("years of work")
    result = CliRunner().invoke(main, ["demo", "--folder", str(tmp_path)])
    assert result.exit_code == 1
    assert "was not made for a demo; it is left as it is: name another --folder" in result.output
    assert mine.read_text() == "years of work"


def test_folder_when_a_demo_runs_in_it_then_a_second_is_refused(tmp_path: Path) -> None:
    places = demo_stage.Places(ROOT, tmp_path / "demo")
    with places.prepared():
        places.journal.write_text("{}\n")
        with pytest.raises(TestbedError, match="another demo runs in"), places.prepared():
            pytest.fail("two demos share a folder")
        assert places.journal.exists()


def test_folder_when_an_earlier_demo_left_something_then_the_next_begins_without(
    tmp_path: Path,
) -> None:
    places = demo_stage.Places(ROOT, tmp_path / "demo")
    with places.prepared():
        (places.out / "report.html").write_text("kept until it is replaced")
        places.journal.write_text("{}\n")
        places.bed.mkdir()
        (places.bed / ".charon-testbed").touch()
    with places.prepared():
        assert not places.journal.exists()
        assert not places.bed.exists()
        assert (places.out / "report.html").exists()


def test_folder_when_its_testbed_is_no_testbeds_then_it_stays(tmp_path: Path) -> None:
    places = demo_stage.Places(ROOT, tmp_path / "demo")
    with places.prepared():
        places.bed.mkdir()
        (places.bed / "thesis.tex").touch()
    with pytest.raises(TestbedError, match="was not made for a testbed"), places.prepared():
        pytest.fail("what is not ours was taken")
    assert (places.bed / "thesis.tex").exists()
