"""What systemd starts as k3s on a played host: a real cluster of one node, below k3s's own folder.

`python -m tests.bootstrap.cluster start|stop ROOT`, ROOT being the host's file system. As with k3s,
images that lie ready are imported at the start, the administrator's kubeconfig is written, and all
data stay when it stops.
"""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from charon_operator import testbed
from charon_operator.testbed import build, images, keeper, layout, operator, state
from charon_operator.testbed.node import needs
from tests.bootstrap.host import Host
from tests.ship.chart import ROOT

NODE = "real-0"
OPERATOR_IMAGE = "testbed.charon.dev/operator:ready"
# There is no DNS and no provisioner: the address and the volume are made beforehand.
_VOLUME = """
apiVersion: v1
kind: PersistentVolume
metadata: {name: data-mimir-0}
spec:
  capacity: {storage: 10Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Delete
  hostPath: {path: /run/testbed/data/mimir-volume}
"""


def mimir() -> images.Image:
    """Mimir alone: one file, so that it is the same image whoever makes it."""
    program = build.programs()["mimir"]
    layers = [images.layer({"/bin/mimir": program})]
    return images.Image(name="mimir", layers=layers, entrypoint=["/bin/mimir"])


def folder(root: Path) -> Path:
    return root.resolve() / "var/lib/rancher/k3s/testbed"


def hook(host: Host) -> None:
    """Has the host's systemd and k3s-killall.sh do for real what they say.

    What systemd starts has nothing of its caller: neither variables nor umask.
    """
    environment = shlex.join(f"{key}={value}" for key, value in os.environ.items())
    module = [sys.executable, "-m", "tests.bootstrap.cluster"]
    hooks = {"systemctl": ("restart k3s", "start"), "k3s-killall.sh": ("", "stop")}
    (host.world / "hooks").mkdir()
    for name, (arguments, verb) in hooks.items():
        path = host.world / "hooks" / name
        command = shlex.join([*module, verb, str(host.root)])
        path.write_text(
            f'#!/bin/bash\n[ "$*" = "{arguments}" ] || exit 0\numask 022\n'
            f"exec env --ignore-environment {environment} PYTHONPATH={ROOT} {command}\n"
        )
        path.chmod(0o755)


def start(root: Path) -> None:
    files = layout.Layout(folder(root))
    if state.alive(files):
        return
    nodes = [testbed.RealNode(name=NODE)]
    wanted = testbed.Config(folder=files.folder, nodes=nodes, with_metrics=False, with_kwok=False)
    keeper.detach(wanted)
    bed = testbed.attach(files.folder)
    _import(bed)
    volume = files.data("mimir-volume")
    volume.mkdir()
    volume.chmod(0o777)
    bed.apply(_VOLUME)
    kubeconfig = root / "etc/rancher/k3s/k3s.yaml"
    shutil.copyfile(bed.kubeconfig, kubeconfig)
    kubeconfig.chmod(0o600)


def _import(bed: testbed.Access) -> None:
    """Both images under the names by which pods ask for them: of Mimir, that is its digest."""
    entrypoint = ["python3", "-m", "charon_operator"]
    own = images.python([operator.ACCOUNT], name="operator", entrypoint=entrypoint)
    by_digest = f"{mimir().reference.rpartition(':')[0]}@{mimir().digest}"
    ctr = [needs.tool("ctr"), "--namespace=k8s.io", f"--address={bed.address.containerd}"]
    for image, name in ((own, OPERATOR_IMAGE), (mimir(), by_digest)):
        tag = [*ctr, "images", "tag", bed.load(image), name]
        subprocess.run(tag, check=True, capture_output=True, timeout=60)


def stop(root: Path) -> None:
    keeper.down(layout.Layout(folder(root)))


if __name__ == "__main__":
    {"start": start, "stop": stop}[sys.argv[1]](Path(sys.argv[2]))
