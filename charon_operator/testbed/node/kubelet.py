"""kubelet and kube-proxy of the node.

Reads: a Machine, the API server's address, the testbed's keys. Gives: their Programs. Never: asks
for a certificate: the testbed signed them.
"""

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any

from charon_operator import names
from charon_operator.testbed import certificates, config, kubeconfigs, probes, process
from charon_operator.testbed.node import machine, needs, runtime

PORT = 10250
_KUBELET_HEALTH, _PROXY_HEALTH, _PROXY_METRICS = 10248, 10256, 10249


@dataclasses.dataclass(frozen=True)
class Agents:
    """Makes the programs that speak for a node to the API server."""

    wanted: config.RealNode
    ground: machine.Machine
    pid: int
    api_url: str
    authority: certificates.Authority

    def kubelet(self) -> process.Program:
        pair = self.authority.client(
            "kubelet-client", f"system:node:{self.wanted.name}", ["system:nodes"]
        )
        labels = {names.LABEL_REAL_NODE: "true", **self.wanted.labels}
        data = self.ground.inside(self.ground.files.data("node"))
        flags = [
            f"--config={self._document('kubelet', self._kubelet_config())}",
            f"--kubeconfig={self._kubeconfig('kubelet', pair)}",
            f"--root-dir={data}/kubelet",
            f"--cert-dir={data}/kubelet/pki",
            f"--hostname-override={self.wanted.name}",
            f"--node-ip={self.ground.net.far}",
            f"--node-labels={','.join(f'{k}={v}' for k, v in labels.items())}",
        ]
        return self._program("kubelet", flags, PORT, f"{_KUBELET_HEALTH}/healthz")

    def proxy(self) -> process.Program:
        pair = self.authority.client("kube-proxy-client", "system:kube-proxy")
        document = self._proxy_config(self._kubeconfig("kube-proxy", pair))
        flags = [f"--config={self._document('kube-proxy', document)}"]
        return self._program("kube-proxy", flags, _PROXY_METRICS, f"{_PROXY_HEALTH}/livez")

    def _kubelet_config(self) -> Mapping[str, Any]:
        server = self.authority.server("kubelet", [self.ground.net.far, self.wanted.name])
        inside = self.ground.inside
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": self.ground.net.far,
            "port": PORT,
            "healthzBindAddress": self.ground.net.far,
            "healthzPort": _KUBELET_HEALTH,
            "tlsCertFile": str(inside(server.certificate)),
            "tlsPrivateKeyFile": str(inside(server.key)),
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(inside(self.authority.pair.certificate))},
            },
            "authorization": {"mode": "Webhook"},
            "containerRuntimeEndpoint": runtime.ENDPOINT,
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self.ground.cgroup}",
            # There is no DNS server in the cluster.
            "resolvConf": "",
            "failSwapOn": False,
            # Images are imported, not pulled: those thrown away would not come back.
            "imageGCHighThresholdPercent": 100,
            "evictionHard": {"memory.available": "100Mi"},
            "nodeStatusUpdateFrequency": "5s",
            "shutdownGracePeriod": "0s",
        }

    def _proxy_config(self, kubeconfig: pathlib.Path) -> Mapping[str, Any]:
        return {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "clientConnection": {"kubeconfig": str(kubeconfig)},
            "hostnameOverride": self.wanted.name,
            "healthzBindAddress": f"{self.ground.net.far}:{_PROXY_HEALTH}",
            "metricsBindAddress": f"{self.ground.net.far}:{_PROXY_METRICS}",
            # Pods share a bridge: without it an answer would not pass the filter that the
            # question passed.
            "iptables": {"masqueradeAll": True, "minSyncPeriod": "100ms"},
            # The whole machine's limits are not this node's to set.
            "conntrack": {
                "maxPerCore": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
        }

    def _kubeconfig(self, name: str, pair: certificates.Pair) -> pathlib.Path:
        out = self.ground.files.config / f"{name}.kubeconfig"
        ca_file = self.authority.pair.certificate
        return self.ground.inside(kubeconfigs.with_certificate(out, self.api_url, ca_file, pair))

    def _document(self, name: str, document: Mapping[str, Any]) -> pathlib.Path:
        file = self.ground.files.config / f"{name}.json"
        file.write_text(json.dumps(document, indent=1))
        return self.ground.inside(file)

    def _program(self, name: str, flags: list[str], port: int, health: str) -> process.Program:
        return process.Program(
            name=name,
            command=machine.entering(self.pid, f"/run/bin/{name}", *flags),
            log=self.ground.files.log(name),
            port=port,
            is_ready=lambda: probes.answers(f"http://{self.ground.net.far}:{health}"),
            environment={"PATH": needs.SEARCHED},
        )
