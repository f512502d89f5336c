"""Holds a testbed up: in the foreground, or in a process of its own that outlives the command.

Reads: a Config, signals. Gives: a testbed that stays until it is told to end. Never: ends without
stopping it; SIGTERM and Ctrl-C both stop it cleanly.
"""

import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from charon_operator import errors
from charon_operator.testbed import bed, config, layout, process, starter, state
from charon_operator.testbed.node import machine

_LOOK_S = 1.0
_DOWN_TIMEOUT_S = 60.0


def hold(running: bed.Testbed, on_change: Callable[[Sequence[bed.ProcessStatus]], None]) -> None:
    """Waits for SIGTERM or Ctrl-C, telling each change of the processes; does not stop them."""
    asked_to_end = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        asked_to_end.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    seen: Sequence[bed.ProcessStatus] = ()
    try:
        while not asked_to_end.is_set():
            now = running.status()
            if now != seen:
                seen = now
                running.write_state()
                on_change(now)
            asked_to_end.wait(_LOOK_S)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def detach(wanted: config.Config) -> state.State:
    """Starts a process that owns the testbed, and waits until the testbed is up.

    Raises:
        errors.TestbedError: the folder is another's, or the testbed did not come up; the text has
            the keeper's last log lines.
    """
    files = layout.Layout(wanted.folder.expanduser().resolve())
    # Refused here and not only in the keeper, where it would be a line in a log.
    state.take(files).close()
    file = files.config / "wanted.json"
    file.write_text(json.dumps(_as_document(wanted), indent=1))
    log = files.log("keeper")
    with log.open("ab") as out:
        keeping = subprocess.Popen(
            [sys.executable, "-m", "charon_operator.testbed", str(file)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        return _wait_up(files, keeping, log)
    except BaseException:
        # On Ctrl-C, too: nobody waits for it any more.
        keeping.terminate()
        keeping.wait()
        raise


def keep(file: pathlib.Path) -> None:
    """What the detached process does: starts the testbed a file describes, holds it, stops it."""
    with starter.start(_from_document(json.loads(file.read_text()))) as running:
        hold(running, lambda now: None)


def down(files: layout.Layout) -> bool:
    """Ends the testbed in a folder, whoever owns it; False if none runs there."""
    owner = state.alive(files)
    if owner is None:
        machine.clear(files)
        return False
    os.kill(owner.owner_pid, signal.SIGTERM)
    deadline = time.monotonic() + _DOWN_TIMEOUT_S
    while owner.is_alive:
        if time.monotonic() > deadline:
            # Its children die with it.
            os.kill(owner.owner_pid, signal.SIGKILL)
        time.sleep(process.POLL_S)
    machine.clear(files)
    return True


def delete(files: layout.Layout) -> None:
    """Deletes the folder of a testbed that is down.

    Raises:
        errors.TestbedError: a testbed runs or starts there, or the folder was not made for one.
    """
    state.refuse_if_owned(files)
    if not files.folder.exists():
        return
    if not files.marker.exists():
        raise errors.TestbedError(
            f"{files.folder} was not made for a testbed; it is left as it is. Delete it by hand."
        )
    with state.take(files):
        shutil.rmtree(files.folder)


def _wait_up(
    files: layout.Layout, keeping: subprocess.Popen[bytes], log: pathlib.Path
) -> state.State:
    while True:
        up = state.alive(files)
        if up and up.owner_pid == keeping.pid:
            # It lives on by design: not waiting for it is no mistake.
            keeping.returncode = 0
            return up
        if keeping.poll() is not None:
            last = "\n  ".join(log.read_text(errors="replace").splitlines()[-12:])
            raise errors.TestbedError(f"the testbed did not come up; the end of {log}:\n  {last}")
        time.sleep(process.POLL_S)


def _as_document(wanted: config.Config) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        return str(value) if isinstance(value, pathlib.Path) else value

    document = {name: plain(value) for name, value in vars(wanted).items()}
    document["nodes"] = [dataclasses.asdict(node) for node in wanted.fake_nodes]
    document["real_nodes"] = [dataclasses.asdict(wanted.real_node)] if wanted.real_node else []
    return document


def _from_document(document: dict[str, Any]) -> config.Config:
    paths = {
        name: pathlib.Path(document[name]) if document[name] else None
        for name in ("cache", "kubeconfig")
    }
    real = [config.RealNode(**node) for node in document.pop("real_nodes")]
    return config.Config(
        **{
            **document,
            **paths,
            "folder": pathlib.Path(document["folder"]),
            "provider": config.Provider(document["provider"]),
            "nodes": [*(config.Node(**node) for node in document["nodes"]), *real],
        }
    )
