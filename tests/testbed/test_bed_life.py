"""A testbed's life: up, beside another, up again on its data, gone without a trace."""

import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from charon_operator import errors, testbed
from charon_operator.testbed import disk, keeper, layout, state
from tests.testbed_fixtures import wait_until

pytestmark = pytest.mark.testbed

OWNER = """
import json, pathlib, sys
from charon_operator import testbed
config = testbed.Config(folder=pathlib.Path(sys.argv[1]), with_metrics=False)
with testbed.start(config) as bed:
    print(json.dumps([entry.pid for entry in bed.status()]), flush=True)
    sys.stdin.read()
"""


def small(folder: pathlib.Path) -> testbed.Config:
    return testbed.Config(folder=folder, with_metrics=False)


def gone(pid: int) -> bool:
    return state.started_at(pid) == ""


def test_testbeds_when_two_run_then_each_has_its_own_cluster_and_stop_leaves_none(
    bed: testbed.Testbed, tmp_path: pathlib.Path
) -> None:
    with testbed.start(small(tmp_path / "second")) as second:
        second.kubectl("create", "namespace", "only-here")
        assert "only-here" not in bed.kubectl("get", "namespaces", "-o", "name")
        pids = [entry.pid for entry in second.status()]
        ports = [entry.port for entry in second.status()]
        assert not set(ports) & {entry.port for entry in bed.status()}
    assert all(pid and gone(pid) for pid in pids)
    assert {entry.state for entry in second.status()} == {"Stopped"}
    second.stop()
    assert {entry.state for entry in bed.status()} == {"Running"}


def test_testbed_when_started_again_in_its_folder_then_goes_on_with_its_data(
    tmp_path: pathlib.Path,
) -> None:
    with testbed.start(small(tmp_path / "bed")) as first:
        first.kubectl("create", "namespace", "kept")
    with testbed.start(small(tmp_path / "bed")) as again:
        assert "namespace/kept" in again.kubectl("get", "namespaces", "-o", "name").split()


def test_testbed_when_one_runs_in_the_folder_then_a_second_is_refused(
    bed: testbed.Testbed,
) -> None:
    with pytest.raises(errors.TestbedError, match=r"runs in .* already .*charon lab down"):
        testbed.start(small(bed.folder))
    assert {entry.state for entry in bed.status()} == {"Running"}


def test_testbed_when_its_owner_is_killed_then_no_child_survives(tmp_path: pathlib.Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path / "bed")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with owner:
        assert owner.stdout is not None
        pids = json.loads(owner.stdout.readline())
        assert len(pids) == 5
        assert not any(gone(pid) for pid in pids)
        owner.send_signal(signal.SIGKILL)
    wait_until(lambda: all(gone(pid) for pid in pids), "the children to die with their parent")


def test_testbed_when_a_program_dies_at_start_then_says_its_last_words_and_leaves_nothing(
    tmp_path: pathlib.Path,
) -> None:
    wrong = testbed.Config(
        folder=tmp_path / "bed", with_metrics=False, apiserver_flags=["--no-such-flag"]
    )
    with pytest.raises(
        errors.TestbedError, match=r"kube-apiserver died at start(.|\n)*no-such-flag"
    ):
        testbed.start(wrong)
    assert not state.alive(layout.Layout(tmp_path / "bed"))


def test_testbed_when_its_disk_is_too_full_then_says_how_much_is_needed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    usage = disk.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: usage._replace(free=2**20))
    with pytest.raises(errors.TestbedError, match=r"a testbed needs \d+ MB .* 1 MB free.*--folder"):
        testbed.start(small(tmp_path / "bed"))


def test_testbed_when_attached_from_its_folder_then_can_be_used(bed: testbed.Testbed) -> None:
    handle = testbed.attach(bed.folder)
    assert handle.mimir_url == bed.mimir_url
    assert "node-0" in handle.kubectl("get", "nodes", "-o", "name")


def test_testbed_when_none_runs_then_attach_says_how_to_start_one(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.TestbedError, match=r"no testbed runs in .*charon lab up"):
        testbed.attach(tmp_path)


def test_process_when_unknown_then_the_known_ones_are_named(bed: testbed.Testbed) -> None:
    with pytest.raises(errors.TestbedError, match=r"no process 'grafana'.*etcd"):
        bed.process("grafana")


def test_keeper_when_told_to_end_then_children_go_and_data_stay(tmp_path: pathlib.Path) -> None:
    config = small(tmp_path / "kept")
    files = layout.Layout(config.folder)
    owner = keeper.detach(config)
    try:
        assert owner.owner_pid != os.getpid()
        assert "node-0" in testbed.attach(config.folder).kubectl("get", "nodes", "-o", "name")
        assert {p.state for p in owner.processes} == {"Running"}
    finally:
        assert keeper.down(files)
    assert all(p.pid and gone(p.pid) for p in owner.processes)
    assert not keeper.down(files)
    assert files.data("etcd").exists()
    keeper.delete(files)
    assert not files.folder.exists()


def test_folder_when_it_was_not_made_for_a_testbed_then_is_not_deleted(
    tmp_path: pathlib.Path,
) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(errors.TestbedError, match="was not made for a testbed"):
        keeper.delete(layout.Layout(tmp_path))
    assert (tmp_path / "thesis.tex").exists()
