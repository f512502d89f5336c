"""Every scenario file decides as it says."""

from pathlib import Path

import pytest

from tests.scenarios import play

FILES = sorted(Path(play.__file__).parent.glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_scenario_decides_as_written(file: Path) -> None:
    script = play.read(file)
    assert script["about"]
    assert play.played(script) == play.expected(script)
