"""Files of an image that need no Python: those of a folder, and busybox with its names.

Reads: a folder, the static busybox of this machine. Gives: what `oci.layer` takes, and the image
that is busybox alone. Never: follows a link out of a folder.
"""

import os
import pathlib
import subprocess

from charon_operator.testbed.images import oci
from charon_operator.testbed.node import needs

_ACCOUNTS: dict[str, oci.Content] = {
    "/etc/passwd": b"root:x:0:0::/:/bin/sh\nnonroot:x:65532:65532::/tmp:/bin/sh\n",
    "/etc/group": b"root:x:0:\nnonroot:x:65532:\n",
}


def of_folder(root: pathlib.Path, below: str = "") -> dict[str, oci.Content]:
    """The files of a root file system, or of a folder that is put below a path of one."""
    found: dict[str, oci.Content] = {}
    for path in sorted(root.rglob("*")):
        place = f"{below}/{path.relative_to(root).as_posix()}"
        if path.is_symlink():
            found[place] = oci.Link(os.readlink(path))
        elif path.is_file():
            found[place] = path
    return found


def ground() -> dict[str, oci.Content]:
    """A shell, its small tools, and the accounts root and nonroot."""
    program = needs.tool("busybox")
    listed = subprocess.run([program, "--list"], capture_output=True, text=True, check=True)
    links = {f"/bin/{name}": oci.Link("busybox") for name in listed.stdout.split()}
    return {**links, **_ACCOUNTS, "/bin/busybox": program}


def busybox(cache: pathlib.Path | None = None) -> oci.Image:
    """A shell and its small tools; the sandbox of every pod, too."""
    sleep = ("/bin/sleep", "2147483647")
    return oci.Image(name="busybox", layers=[oci.layer(ground(), cache)], command=sleep)
