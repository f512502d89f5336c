"""The control plane: etcd, API server, controller manager, scheduler, with TLS and RBAC on.

Reads: a Config, reserved ports, the testbed's keys. Gives: Programs ready to be started.
Never: listens anywhere but on loopback, the API server on the link to a real node excepted.
"""

import dataclasses
import functools
import json
import pathlib
import ssl
from collections.abc import Mapping

from charon_operator.testbed import (
    audit,
    certificates,
    config,
    kubeconfigs,
    layout,
    probes,
    process,
    sockets,
)

ISSUER = "https://kubernetes.default.svc"
_SERVICE_RANGE = "10.96.0.0/16"
_SERVICE_ADDRESS = "10.96.0.1"
_SERVER_HOSTS = (
    sockets.LOOPBACK,
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    _SERVICE_ADDRESS,
)
# The clients' defaults (20 requests a second) would be what every measurement measures.
_CLIENT_RATE = ("--kube-api-qps=500", "--kube-api-burst=1000")


@dataclasses.dataclass(frozen=True)
class ControlPlane:
    """Makes the programs of one control plane; `ports` and `binaries` are by program name."""

    wanted: config.Config
    files: layout.Layout
    binaries: Mapping[str, pathlib.Path]
    ports: sockets.Reservation
    host: str = sockets.LOOPBACK
    """Of the API server."""

    @functools.cached_property
    def authority(self) -> certificates.Authority:
        return certificates.Authority(self.files.keys)

    @property
    def api_url(self) -> str:
        return f"https://{self.host}:{self.ports.port('kube-apiserver')}"

    @functools.cached_property
    def admin(self) -> certificates.Pair:
        return self.authority.client("admin", "charon-testbed-admin", ["system:masters"])

    def write_admin_kubeconfig(self) -> pathlib.Path:
        ca_file = self.authority.pair.certificate
        return kubeconfigs.with_certificate(
            self.files.kubeconfig, self.api_url, ca_file, self.admin
        )

    def write_kwok_kubeconfig(self) -> pathlib.Path:
        pair = self.authority.client("kwok", "charon-testbed-kwok", ["system:masters"])
        ca_file = self.authority.pair.certificate
        out = self.files.config / "kwok.kubeconfig"
        return kubeconfigs.with_certificate(out, self.api_url, ca_file, pair)

    def etcd(self) -> process.Program:
        pair = self.authority.server("etcd", _SERVER_HOSTS)
        client, peer = self._url("etcd"), self._url("etcd-peer")
        flags = [
            "--name=testbed",
            f"--data-dir={self.files.data('etcd')}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=testbed={peer}",
            *self._etcd_tls(pair),
            f"--quota-backend-bytes={4 * 2**30}",
            "--log-level=warn",
        ]
        if not self.wanted.fsync:
            flags.append("--unsafe-no-fsync")
        return self._program("etcd", flags, f"{client}/health", self._trusting(pair))

    def apiserver(self) -> process.Program:
        pair = self.authority.server("kube-apiserver", [self.host, *_SERVER_HOSTS])
        flags = [
            f"--bind-address={self.host}",
            f"--advertise-address={self.host}",
            f"--secure-port={self.ports.port('kube-apiserver')}",
            f"--service-cluster-ip-range={_SERVICE_RANGE}",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged=true",
            "--profiling=false",
            "--shutdown-delay-duration=0s",
            *_tls(pair),
            f"--client-ca-file={self.authority.pair.certificate}",
            *self._storage_flags(),
            *self._account_flags(),
            *self._aggregation_flags(),
            *self._audit_flags(),
            *self._node_flags(),
            *self.wanted.apiserver_flags,
        ]
        return self._program("kube-apiserver", flags, f"{self.api_url}/readyz")

    def controller_manager(self) -> process.Program:
        private, _ = certificates.key_pair(self.files.keys, "service-account")
        ca = self.authority.pair
        flags = [
            *self._component_flags("kube-controller-manager"),
            f"--service-account-private-key-file={private}",
            f"--root-ca-file={ca.certificate}",
            f"--cluster-signing-cert-file={ca.certificate}",
            f"--cluster-signing-key-file={ca.key}",
            "--use-service-account-credentials=true",
            "--concurrent-deployment-syncs=20",
            "--concurrent-replicaset-syncs=20",
            "--concurrent-gc-syncs=20",
            "--concurrent-namespace-syncs=10",
            *self.wanted.controller_manager_flags,
        ]
        return self._program("kube-controller-manager", flags, self._health(flags[0]))

    def scheduler(self) -> process.Program:
        flags = [*self._component_flags("kube-scheduler"), *self.wanted.scheduler_flags]
        return self._program("kube-scheduler", flags, self._health(flags[0]))

    def _health(self, secure_port_flag: str) -> str:
        return f"https://{sockets.LOOPBACK}:{secure_port_flag.partition('=')[2]}/healthz"

    def _component_flags(self, name: str) -> list[str]:
        """Flags that controller manager and scheduler share; the port comes first."""
        pair = self.authority.client(f"{name}-client", f"system:{name}")
        kubeconfig = kubeconfigs.with_certificate(
            self.files.config / f"{name}.kubeconfig",
            self.api_url,
            self.authority.pair.certificate,
            pair,
        )
        return [
            f"--secure-port={self.ports.port(name)}",
            f"--bind-address={sockets.LOOPBACK}",
            *(
                f"--{use}={kubeconfig}"
                for use in ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")
            ),
            *_tls(self.authority.server(name, _SERVER_HOSTS)),
            "--leader-elect=false",
            "--profiling=false",
            *_CLIENT_RATE,
        ]

    def _etcd_tls(self, pair: certificates.Pair) -> list[str]:
        ca_file = self.authority.pair.certificate
        return [
            f"--{peer}{flag}"
            for peer in ("", "peer-")
            for flag in (
                f"cert-file={pair.certificate}",
                f"key-file={pair.key}",
                f"trusted-ca-file={ca_file}",
                "client-cert-auth=true",
            )
        ]

    def _storage_flags(self) -> list[str]:
        pair = self.authority.client("apiserver-etcd-client", "kube-apiserver")
        return [
            f"--etcd-servers={self._url('etcd')}",
            f"--etcd-cafile={self.authority.pair.certificate}",
            f"--etcd-certfile={pair.certificate}",
            f"--etcd-keyfile={pair.key}",
        ]

    def _account_flags(self) -> list[str]:
        private, public = certificates.key_pair(self.files.keys, "service-account")
        return [
            f"--service-account-issuer={ISSUER}",
            f"--service-account-signing-key-file={private}",
            f"--service-account-key-file={public}",
        ]

    def _aggregation_flags(self) -> list[str]:
        """Extension API servers (as KEDA's metrics) trust the front proxy by a CA of its own."""
        front = certificates.Authority(self.files.keys, "front-proxy-ca")
        pair = front.client("front-proxy-client", "front-proxy-client")
        return [
            f"--requestheader-client-ca-file={front.pair.certificate}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-username-headers=X-Remote-User",
            f"--proxy-client-cert-file={pair.certificate}",
            f"--proxy-client-key-file={pair.key}",
        ]

    def _node_flags(self) -> list[str]:
        """How pods find the API server and how it reaches a kubelet, where one is real."""
        if self.host == sockets.LOOPBACK:
            # A loopback address is refused as an endpoint of the kubernetes Service.
            return ["--endpoint-reconciler-type=none"]
        pair = self.authority.client(
            "apiserver-kubelet-client", "kube-apiserver-kubelet-client", ["system:masters"]
        )
        return [
            "--kubelet-preferred-address-types=InternalIP",
            f"--kubelet-certificate-authority={self.authority.pair.certificate}",
            f"--kubelet-client-certificate={pair.certificate}",
            f"--kubelet-client-key={pair.key}",
        ]

    def _audit_flags(self) -> list[str]:
        file = self.files.config / "audit-policy.json"
        file.write_text(json.dumps(audit.policy(self.wanted.audited), indent=1))
        return [
            f"--audit-policy-file={file}",
            f"--audit-log-path={self.files.audit_log}",
            # "Blocking" writes each event before the request is answered: nothing is buffered.
            "--audit-log-mode=blocking",
            "--audit-log-maxsize=100000",
        ]

    def _url(self, name: str) -> str:
        return f"https://{sockets.LOOPBACK}:{self.ports.port(name)}"

    def _trusting(self, pair: certificates.Pair | None = None) -> ssl.SSLContext:
        ca_file = self.authority.pair.certificate
        if pair is None:
            return probes.trusting(ca_file)
        return probes.trusting(ca_file, pair.certificate, pair.key)

    def _program(
        self, name: str, flags: list[str], health: str, context: ssl.SSLContext | None = None
    ) -> process.Program:
        trusted = context or self._trusting()
        return process.Program(
            name=name,
            command=[self.binaries[name], *flags],
            log=self.files.log(name),
            port=self.ports.port(name),
            is_ready=lambda: probes.answers(health, trusted),
            # The API server waits for watches to end, which clients that live on keep open.
            stop_timeout_s=5.0,
        )


def _tls(pair: certificates.Pair) -> list[str]:
    return [f"--tls-cert-file={pair.certificate}", f"--tls-private-key-file={pair.key}"]
