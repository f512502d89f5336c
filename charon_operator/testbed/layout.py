"""Where the files of one testbed lie, all below its folder.

Reads: nothing. Gives: paths. Never: decides what is in them.
"""

import dataclasses
import pathlib


@dataclasses.dataclass(frozen=True)
class Layout:
    """The paths of one testbed."""

    folder: pathlib.Path

    @property
    def keys(self) -> pathlib.Path:
        return self.folder / "keys"

    @property
    def config(self) -> pathlib.Path:
        return self.folder / "config"

    @property
    def targets(self) -> pathlib.Path:
        return self.config / "targets"

    @property
    def kubeconfig(self) -> pathlib.Path:
        return self.folder / "admin.kubeconfig"

    @property
    def state(self) -> pathlib.Path:
        return self.folder / "testbed.json"

    @property
    def marker(self) -> pathlib.Path:
        """Says that the folder was made for a testbed, so that it may be deleted as one."""
        return self.folder / ".charon-testbed"

    @property
    def lock(self) -> pathlib.Path:
        """Held by the process that starts, has or deletes the testbed."""
        return self.folder / ".lock"

    @property
    def audit_log(self) -> pathlib.Path:
        return self.folder / "logs" / "audit.log"

    def data(self, name: str) -> pathlib.Path:
        return self.folder / "data" / name

    def log(self, name: str) -> pathlib.Path:
        return self.folder / "logs" / f"{name}.log"

    def make(self) -> None:
        """Makes the folders; what they hold is private to their owner."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not any(self.folder.iterdir()):
            self.marker.touch()
        for path in (self.keys, self.config, self.targets, self.folder / "logs", self.data("")):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
