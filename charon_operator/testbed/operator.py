"""The operator under test: the chart's objects by the real helm, the program beside the cluster.

Reads: a chart, a running testbed. Gives: its objects in the cluster, and the program to start with
the chart's own ServiceAccount, so that missing rights show; on a real node, its pod (`deploy`).
Never: a pod of the operator on fake nodes, where it would only seem to run.
"""

import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml

from charon_operator import names
from charon_operator.errors import TestbedError
from charon_operator.testbed import access, images, probes, process, sockets

NAMESPACE: Final = "charon-system"
ACCOUNT: Final = "charon-operator"
_HELM_TIMEOUT_S: Final = 120
_NO_POD: Final = "--set=replicas=0"
_RESTRICTED: Final = f"""
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels: {{pod-security.kubernetes.io/enforce: restricted}}
"""


def install(bed: access.Access, chart: pathlib.Path, values: Sequence[str] = ()) -> None:
    """Installs the chart, or upgrades it, without the operator's pod; its kinds are served then.

    Args:
        bed: where to.
        chart: its folder.
        values: further arguments of helm, as `--set=forceMode=Advisory`.

    Raises:
        TestbedError: helm is not there, failed or took too long.
    """
    helm(bed, "upgrade", "--install", ACCOUNT, str(chart), "--create-namespace", _NO_POD, *values)
    for plural in (names.CHARGED_APPS, names.CONTROL_POLICIES):
        bed.kubectl("wait", "--for=condition=Established", f"crd/{plural}.{names.GROUP}")


def deploy(bed: access.Access, chart: pathlib.Path, values: Sequence[str] = ()) -> None:
    """Installs the chart with the operator's pod on the real node, and waits until it serves.

    Its namespace takes restricted pods only.

    Args:
        bed: where to; with a real node.
        chart: its folder.
        values: further arguments of helm.

    Raises:
        TestbedError: there is no real node, helm failed, or the pod did not become available.
    """
    entrypoint = ["python3", "-m", "charon_operator"]
    image = images.python([ACCOUNT], name=ACCOUNT, entrypoint=entrypoint, command=["run"])
    repository, _, tag = bed.load(image).rpartition(":")
    chosen = {
        "replicas": 1,
        "image": {"repository": repository, "tag": tag},
        "nodeSelector": {names.LABEL_REAL_NODE: "true"},
        "settings": {"mimir": _mimir(bed)},
    }
    file = bed.folder / "config" / "operator-values.yaml"
    file.write_text(yaml.safe_dump(chosen))
    bed.apply(_RESTRICTED)
    helm(bed, "upgrade", "--install", ACCOUNT, str(chart), f"--values={file}", *values)
    available = ("wait", "--for=condition=Available", f"deployment/{ACCOUNT}")
    bed.kubectl(*available, f"--namespace={NAMESPACE}", "--timeout=90s")


def helm(bed: access.Access, *arguments: str) -> str:
    """What helm printed, as administrator, in the operator's namespace.

    Raises:
        TestbedError: helm is not there, failed or took too long.
    """
    homes = {f"HELM_{kind}_HOME": str(bed.folder / "helm") for kind in ("CACHE", "CONFIG", "DATA")}
    where = [f"--namespace={NAMESPACE}", f"--kubeconfig={bed.kubeconfig}"]
    try:
        done = subprocess.run(
            [_helm(), *arguments, *where],
            env={**os.environ, **homes},
            capture_output=True,
            text=True,
            timeout=_HELM_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TestbedError(f"helm took longer than {_HELM_TIMEOUT_S} s") from None
    if done.returncode != 0:
        raise TestbedError(f"helm: {done.stderr.strip()}")
    return done.stdout


def program(
    bed: access.Access, folder: pathlib.Path, port: int, settings: Mapping[str, Any]
) -> process.Program:
    """The operator as a program to start; the kubeconfig lies in its folder, a token beside it.

    Args:
        bed: the cluster and its Mimir.
        folder: for its kubeconfig, configuration and log.
        port: of its health and metrics server, on loopback.
        settings: parts of its configuration that differ from the testbed's defaults.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kubeconfig = bed.service_account_kubeconfig(NAMESPACE, ACCOUNT, folder / "kubeconfig")
    defaults: dict[str, Any] = {
        "mimir": _mimir(bed),
        "lease": {"namespace": NAMESPACE, "name": ACCOUNT},
        "health": {"host": sockets.LOOPBACK, "port": port},
    }
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump({**defaults, **settings}))
    files = [f"--kubeconfig={kubeconfig}", f"--config={config}"]
    return process.Program(
        name="operator",
        command=[sys.executable, "-m", "charon_operator", "run", *files],
        log=folder / "log",
        port=port,
        is_ready=lambda: probes.answers(f"http://{sockets.LOOPBACK}:{port}/readyz"),
    )


def _mimir(bed: access.Access) -> dict[str, Any]:
    return {"url": f"{bed.mimir_url}/prometheus", "scopes": [{"tenant": bed.tenant}]}


def _helm() -> str:
    beside = pathlib.Path(sys.executable).parent / "helm"
    found = str(beside) if beside.exists() else shutil.which("helm")
    if found is None:
        raise TestbedError("helm is not here: pip install 'charon-operator[lab]' brings it")
    return found
