"""A testbed's folder belongs to one process at a time, from the first step of a start on."""

import pathlib
import signal

import pytest

from charon_operator import errors, testbed
from charon_operator.testbed import keeper, layout, state
from tests.testbed_fixtures import wait_until


@pytest.fixture
def config(tmp_path: pathlib.Path) -> testbed.Config:
    """Refused at once where it is not refused before: its kubeconfig names no server."""
    (tmp_path / "kubeconfig").write_text("{}")
    return testbed.Config(
        folder=tmp_path / "bed",
        provider=testbed.Provider.KUBECONFIG,
        kubeconfig=tmp_path / "kubeconfig",
        with_metrics=False,
    )


@pytest.mark.parametrize("start", [testbed.start, keeper.detach], ids=["here", "detached"])
def test_folder_when_another_start_is_under_way_then_a_second_is_refused(
    config: testbed.Config, start
) -> None:
    with (
        state.take(layout.Layout(config.folder)),
        pytest.raises(errors.TestbedError, match=r"another process starts.*--folder"),
    ):
        start(config)


def test_folder_when_a_start_failed_then_is_free_again(config: testbed.Config) -> None:
    with pytest.raises(errors.TestbedError, match="must name a server"):
        testbed.start(config)
    state.take(layout.Layout(config.folder)).close()


def test_folder_when_a_start_is_under_way_then_is_not_deleted(tmp_path: pathlib.Path) -> None:
    files = layout.Layout(tmp_path / "bed")
    with state.take(files), pytest.raises(errors.TestbedError, match="another process"):
        keeper.delete(files)
    assert files.marker.exists()
    keeper.delete(files)
    assert not files.folder.exists()


def test_detach_when_interrupted_then_the_keeper_ends(
    config: testbed.Config, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    # A stand-in for a keeper whose start takes long.
    keeping, pid = tmp_path / "keeper", tmp_path / "pid"
    keeping.write_text(f"#!/bin/sh\necho $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 300\n")
    keeping.chmod(0o755)
    monkeypatch.setattr(keeper.sys, "executable", str(keeping))

    def interrupt(seconds: float) -> None:
        monkeypatch.undo()
        wait_until(pid.exists, "the keeper to start")
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(keeper.time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        keeper.detach(config)
    assert state.started_at(int(pid.read_text())) == ""
