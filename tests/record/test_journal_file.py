"""The journal's file: order, rotation at start rows only, and a disk that fails."""

import json
from pathlib import Path
from typing import Any

import pytest

from charon_operator import settings
from charon_operator.record import journal_file


def row(kind: str, number: int = 0, size: int = 0) -> dict[str, Any]:
    return {"v": 1, "kind": kind, "number": number, "pad": "x" * size}


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines() if line]


def test_rows_when_appended_then_are_in_order(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "journal.jsonl"
    with journal_file.FileJournal(settings.JournalFile(), path) as kept:
        for number in range(50):
            kept.append([row("turn", number)])
    assert [line["number"] for line in lines(path)] == list(range(50))


def test_file_when_full_then_asks_for_a_start_and_rotates_there(tmp_path: Path) -> None:
    path, limits = tmp_path / "j", settings.JournalFile(max_bytes=2**16, backups=2)
    for life in range(4):
        with journal_file.FileJournal(limits, path) as kept:
            kept.append([row("start", life)])
            kept.append([row("turn", life, 2**16)])
            kept.append([row("turn", life)])
        assert kept.wants_start
    assert {file.name for file in tmp_path.iterdir()} == {"j", "j.1", "j.2"}
    assert [[line["kind"] for line in lines(file)] for file in sorted(tmp_path.iterdir())] == [
        ["start", "turn", "turn"]
    ] * 3
    assert lines(path)[0]["number"] == 3


def test_row_cut_short_by_a_kill_when_a_new_life_begins_then_swallows_nothing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "j"
    path.write_text('{"kind":"turn","cut":')
    with journal_file.FileJournal(settings.JournalFile(), path) as kept:
        kept.append([row("start", 7)])
    assert json.loads(path.read_text().splitlines()[1])["number"] == 7


def test_disk_when_it_fails_then_rows_are_counted_and_a_start_is_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "file" / "journal"
    path.parent.write_text("not a folder")
    with journal_file.FileJournal(settings.JournalFile(), path) as kept:
        kept.append([row("turn")])
        kept.append([row("turn"), row("write")])
    assert kept.lost == 3
    assert kept.wants_start
    assert len([r for r in caplog.records if "cannot be written" in r.message]) == 1


def test_rows_when_some_are_lost_then_none_are_kept_until_a_start(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with journal_file.FileJournal(settings.JournalFile(), path) as kept:
        kept.append([row("start", 1)])
        kept.append([{"v": 1, "kind": "turn", "number": float("nan")}])
        kept.append([row("turn", 2), row("write", 2)])
        kept.append([row("start", 3)])
        kept.append([row("turn", 4)])
        kept.close()
    # Had the loss been heard of in time, one more start would have been asked for.
    assert [line["number"] for line in lines(path)] in ([1, 3, 4], [1, 3])
    assert kept.lost == 6 - len(lines(path))


@pytest.mark.parametrize(
    "many",
    [{"apps": [0] * 30_000}, {"apps": [], "nodes": dict.fromkeys(map(str, range(30_000)))}],
    ids=["apps", "nodes"],
)
def test_disk_when_it_hangs_then_a_bounded_number_of_entries_waits(
    tmp_path: Path, many: dict[str, Any]
) -> None:
    path = tmp_path / "j"
    kept = journal_file.FileJournal(settings.JournalFile(), path)
    # Not begun yet, its thread is as slow as a disk that hangs.
    kept.append([{**row("start"), "memory": {"apps": dict.fromkeys(range(9_000))}}])
    kept.append([row("spec"), {**row("turn", 1), **many}])
    assert not kept.wants_start
    kept.append([{**row("turn", 2), "apps": []}])
    assert (kept.lost, kept.wants_start) == (1, True)
    with kept:
        kept.close()
    kinds = [line["kind"] for line in lines(path)]
    assert kinds == ["start", "spec", "turn"]
