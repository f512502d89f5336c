"""An existing cluster, reached by a kubeconfig: nothing of it is started, nor stopped.

Reads: the kubeconfig and the Mimir address of a Config. Gives: a Cluster. Never: changes the file
or the cluster, other than by what its user asks.
"""

import pathlib
import shutil
from collections.abc import Sequence

from charon_operator import errors
from charon_operator.testbed import config, kubeconfigs, parts
from charon_operator.testbed.providers import contract


class Existing:
    """Uses the current context of the given kubeconfig."""

    def __init__(self, wanted: config.Config) -> None:
        self._wanted = wanted

    def needs(self) -> Sequence[parts.Part]:
        # Before a build: that takes minutes.
        _server_of(self._given())
        return () if shutil.which("kubectl") else (parts.KUBE,)

    def bring_up(self, launcher: contract.Launcher) -> contract.Cluster:
        return existing(self._given(), launcher)

    def take_down(self) -> None:
        """Nothing: the cluster is not ours."""

    def _given(self) -> pathlib.Path:
        given = self._wanted.kubeconfig
        if given is None:
            raise errors.TestbedError("the kubeconfig provider needs a kubeconfig: --kubeconfig")
        if not given.exists():
            raise errors.TestbedError(f"no such kubeconfig: {given}")
        return given.resolve()


def existing(kubeconfig: pathlib.Path, launcher: contract.Launcher) -> contract.Cluster:
    """The cluster of a kubeconfig's current context.

    Raises:
        errors.TestbedError: the file names no server, or no CA certificate.
    """
    api_url, certificate = _server_of(kubeconfig)
    ca_file = launcher.files.config / "cluster-ca.crt"
    ca_file.write_bytes(certificate)
    kubectl = launcher.binaries.get("kubectl") or pathlib.Path(shutil.which("kubectl") or "kubectl")
    return contract.Cluster(
        kubeconfig=kubeconfig, api_url=api_url, ca_file=ca_file, kubectl=kubectl
    )


def _server_of(kubeconfig: pathlib.Path) -> tuple[str, bytes]:
    api_url, certificate = kubeconfigs.server_of(kubeconfig)
    if not api_url or certificate is None:
        raise errors.TestbedError(
            f"{kubeconfig}: the current context must name a server and its CA certificate"
        )
    return api_url, certificate
