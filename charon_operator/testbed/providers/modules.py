"""The default provider: a control plane built from pinned Go modules, run on loopback.

Reads: a Config, the binaries. Gives: a Cluster whose processes are ours. Never: needs root, a
container runtime or an image registry.
"""

import concurrent.futures
from collections.abc import Sequence

from charon_operator.testbed import config, controlplane, parts
from charon_operator.testbed.providers import contract


class Modules:
    """Starts etcd, the API server, then controller manager and scheduler side by side."""

    def __init__(self, wanted: config.Config) -> None:
        self._wanted = wanted

    def needs(self) -> Sequence[parts.Part]:
        return parts.CONTROL_PLANE

    def bring_up(self, launcher: contract.Launcher) -> contract.Cluster:
        made = controlplane.ControlPlane(
            self._wanted, launcher.files, launcher.binaries, launcher.ports, launcher.host
        )
        launcher.launch(made.etcd, "etcd", "etcd-peer")
        launcher.launch(made.apiserver, "kube-apiserver")
        kubeconfig = made.write_admin_kubeconfig()
        with concurrent.futures.ThreadPoolExecutor(2) as both:
            managing = both.submit(
                launcher.launch, made.controller_manager, "kube-controller-manager"
            )
            scheduling = both.submit(launcher.launch, made.scheduler, "kube-scheduler")
            managing.result()
            scheduling.result()
        return contract.Cluster(
            kubeconfig=kubeconfig,
            api_url=made.api_url,
            ca_file=made.authority.pair.certificate,
            kubectl=launcher.binaries["kubectl"],
            kwok_kubeconfig=made.write_kwok_kubeconfig(),
            audit_log=launcher.files.audit_log,
            can_sign=True,
        )

    def take_down(self) -> None:
        """Nothing: its processes are the starter's."""
