"""The import contracts of pyproject.toml hold, and sizes stay small."""

import ast
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "charon_operator"
LINTER = Path(sys.executable).parent / "lint-imports"
SOURCES = sorted(PACKAGE.rglob("*.py"))
# Tests and examples are read as often as what they are for.
OTHERS = sorted(path for room in ("tests", "examples") for path in (ROOT / room).rglob("*.py"))


def functions(path: Path) -> list[tuple[str, int]]:
    tree = ast.parse(path.read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [
        (f"{path.relative_to(ROOT)}:{node.name}", (node.end_lineno or 0) - node.lineno + 1)
        for node in ast.walk(tree)
        if isinstance(node, kinds)
    ]


def test_imports_point_one_way() -> None:
    # In a process of its own: in ours it would switch off the loggers that other tests read.
    done = subprocess.run(
        [LINTER, "--no-cache"], cwd=PACKAGE.parent, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", SOURCES + OTHERS, ids=lambda p: str(p.relative_to(ROOT)))
def test_file_is_at_most_400_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


def test_functions_are_short() -> None:
    found = {path: functions(path) for path in SOURCES + OTHERS}
    assert [item for sizes in found.values() for item in sizes if item[1] > 60] == []
    assert statistics.median(size for path in SOURCES for _, size in found[path]) < 10


def test_kopf_is_named_only_in_handlers_and_run() -> None:
    users = {
        str(path.relative_to(PACKAGE))
        for path in SOURCES
        if any(
            (
                isinstance(node, ast.Import)
                and any(a.name.split(".")[0] == "kopf" for a in node.names)
            )
            or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "kopf")
            for node in ast.walk(ast.parse(path.read_text()))
        )
    }
    assert all(user.startswith("handlers/") or user == "cli/run.py" for user in users)
