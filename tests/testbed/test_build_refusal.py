"""What the build says when it cannot build, and that it publishes whole binaries or none."""

import dataclasses
import fcntl
import os
import pathlib
import shutil
import threading

import pytest

from charon_operator import errors
from charon_operator.testbed import build, disk, parts, toolchain
from tests.testbed_fixtures import wait_until

TINY = parts.Part(
    name="tiny", module="tiny", package=".", cold_cpu_s=1, disk_mb=1, links=("a", "b")
)

MAIN = 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("built") }\n'


class Listener:
    """Keeps what the builder says; a fake because a terminal is none of its concern."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def begin(self, what: str, total: int) -> None:
        self.said.append(what)

    def advance(self, detail: str) -> None: ...

    def finish(self) -> None: ...


def go_that_says(folder: pathlib.Path, version: str) -> None:
    """A stand-in for a Go of another version, which cannot be installed here."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "go"
    program.write_text(f"#!/bin/sh\necho go version {version} linux/amd64\n")
    program.chmod(0o755)


@pytest.fixture
def no_go_beside(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setattr(toolchain.sys, "executable", str(tmp_path / "nowhere" / "python"))


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> pathlib.Path:
    """A Go module that builds in a second."""
    if shutil.which("go") is None:
        pytest.skip("no Go on PATH")
    folder = tmp_path / "modules" / "tiny"
    folder.mkdir(parents=True)
    (folder / "go.mod").write_text("module charon.dev/tiny\n\ngo 1.24.0\n")
    (folder / "main.go").write_text(MAIN)
    monkeypatch.setattr(parts, "MODULES", folder.parent)
    return folder


@pytest.mark.usefixtures("no_go_beside")
def test_toolchain_when_there_is_no_go_then_names_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(errors.TestbedError, match=r"no Go toolchain found.*charon-operator\[go\]"):
        toolchain.find()


@pytest.mark.usefixtures("no_go_beside")
@pytest.mark.parametrize(
    ("said", "told"),
    [("go1.25.8", "is 1.25.8"), ("go1.22", "is 1.22.0"), ("nonsense", "is no Go")],
)
def test_toolchain_when_go_is_too_old_then_says_which_and_what_is_needed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, said: str, told: str
) -> None:
    go_that_says(tmp_path / "bin", said)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(errors.TestbedError, match=told) as refused:
        toolchain.find()
    assert toolchain.dotted(toolchain.MINIMUM) in str(refused.value)


@pytest.mark.parametrize("said", ["go1.25.9", "go1.26", "go1.27.3-X:x"])
def test_toolchain_when_go_is_new_enough_then_takes_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, said: str
) -> None:
    go_that_says(tmp_path / "bin", said)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert toolchain.find()[0] == tmp_path / "bin" / "go"


def test_toolchain_when_path_has_an_old_one_then_takes_that_beside_the_interpreter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    go_that_says(tmp_path / "bin", "go1.20")
    go_that_says(tmp_path / "venv", "go1.26.6")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(toolchain.sys, "executable", str(tmp_path / "venv" / "python"))
    assert toolchain.find() == (tmp_path / "venv" / "go", "1.26.6")


@pytest.mark.usefixtures("tiny")
def test_build_when_the_disk_is_too_full_then_says_how_much_is_needed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: usage._replace(free=0))
    with pytest.raises(errors.TestbedError, match=r"needs 1 MB.* 0 MB free.*XDG_CACHE_HOME"):
        build.programs([TINY], cache=tmp_path / "cache")


@pytest.mark.usefixtures("tiny")
def test_build_when_go_has_cached_something_then_only_the_rest_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    large, usage = dataclasses.replace(TINY, disk_mb=100), shutil.disk_usage(tmp_path)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: usage._replace(free=50 * 2**20))
    for variable in ("GOCACHE", "GOMODCACHE"):
        (tmp_path / variable).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / variable))
    with pytest.raises(errors.TestbedError, match=r"needs 100 MB.* 50 MB free.*GOCACHE"):
        build.programs([large], cache=tmp_path / "cache")
    for variable in ("GOCACHE", "GOMODCACHE"):
        with (tmp_path / variable / "held").open("wb") as held:
            held.truncate(30 * 2**20)
    assert build.programs([large], cache=tmp_path / "cache")


@pytest.mark.usefixtures("tiny")
def test_build_when_done_then_every_name_is_there_and_is_not_built_again(
    tmp_path: pathlib.Path,
) -> None:
    first, second = Listener(), Listener()
    made = build.programs([TINY], cache=tmp_path / "cache", shows=first)
    again = build.programs([TINY], cache=tmp_path / "cache", shows=second)
    assert sorted(made) == ["a", "b"]
    assert all(os.access(path, os.X_OK) for path in made.values())
    assert again == made
    assert any("about" in line for line in first.said)
    assert second.said == []
    [cost] = build.costs([TINY], cache=tmp_path / "cache")
    assert cost.part == "tiny"
    assert cost.binary_mb >= 1


def test_build_when_a_source_changes_then_another_folder_is_built(
    tiny: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    before = build.programs([TINY], cache=tmp_path / "cache")
    (tiny / "main.go").write_text(MAIN.replace("built", "changed"))
    after = build.programs([TINY], cache=tmp_path / "cache")
    assert before["a"] != after["a"]
    assert before["a"].exists()


def test_build_when_go_fails_then_shows_its_last_lines_and_publishes_nothing(
    tiny: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (tiny / "main.go").write_text("package main\n\nfunc main() { undefinedThing() }\n")
    with pytest.raises(errors.TestbedError, match="undefinedThing"):
        build.programs([TINY], cache=tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["tiny.lock"]


@pytest.mark.usefixtures("tiny")
def test_build_when_another_process_builds_then_waits_for_it(tmp_path: pathlib.Path) -> None:
    cache, heard = tmp_path / "cache", Listener()
    cache.mkdir()
    with (cache / "tiny.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = threading.Thread(target=build.programs, args=([TINY], cache, heard))
        waiting.start()
        wait_until(lambda: any("Waiting" in line for line in heard.said), "the wait to be told")
    waiting.join()
    assert build.costs([TINY], cache=cache)
