"""The handle on a testbed that any process may hold: addresses, credentials, kubectl, targets.

Reads: the files of a testbed's folder. Gives: what a test or a command needs to use the cluster.
Never: owns its processes (`bed.Testbed` does).
"""

import dataclasses
import os
import pathlib
import subprocess
from collections.abc import Mapping, Sequence

from charon_operator import errors
from charon_operator.testbed import certificates, images, kubeconfigs, layout, metrics

_KUBECTL_TIMEOUT_S = 120


@dataclasses.dataclass(frozen=True, kw_only=True)
class Address:
    """Where one testbed is reached; JSON-able, for the state file."""

    kubeconfig: str
    api_url: str
    ca_file: str
    kubectl: str
    tenant: str
    mimir_url: str | None
    audit_log: str | None
    containerd: str | None
    """The socket of the real node's containerd."""
    can_sign: bool
    """True if the cluster trusts the testbed's own CA for client certificates."""


class Access:
    """Uses a testbed; see `Address` for what it needs to know."""

    def __init__(self, files: layout.Layout, address: Address) -> None:
        self.files = files
        self.address = address

    @property
    def folder(self) -> pathlib.Path:
        return self.files.folder

    @property
    def kubeconfig(self) -> pathlib.Path:
        """The kubeconfig of a cluster administrator."""
        return pathlib.Path(self.address.kubeconfig)

    @property
    def api_url(self) -> str:
        return self.address.api_url

    @property
    def ca_file(self) -> pathlib.Path:
        """The CA that signed the API server's certificate."""
        return pathlib.Path(self.address.ca_file)

    @property
    def tenant(self) -> str:
        """The tenant the agent writes to; send it as `X-Scope-OrgID`."""
        return self.address.tenant

    @property
    def mimir_url(self) -> str:
        """Mimir's address; queries go to `{mimir_url}/prometheus/api/v1/query`.

        Raises:
            errors.TestbedError: this testbed has no metrics.
        """
        if self.address.mimir_url is None:
            raise errors.TestbedError("this testbed has no Mimir: it was started without metrics")
        return self.address.mimir_url

    @property
    def audit_log(self) -> pathlib.Path:
        """The API server's audit log, one JSON event a line.

        Raises:
            errors.TestbedError: the API server is not ours, so its audit log is not known.
        """
        if self.address.audit_log is None:
            raise errors.TestbedError("the audit log of a cluster that is not ours is not known")
        return pathlib.Path(self.address.audit_log)

    def kubectl(
        self,
        *arguments: str,
        input: str | None = None,
        check: bool = True,
        timeout_s: float = _KUBECTL_TIMEOUT_S,
    ) -> str:
        """What kubectl printed, as administrator.

        Args:
            arguments: as on the command line.
            input: what `-f -` reads.
            check: raise when kubectl fails; otherwise give its output, errors included.
            timeout_s: after which it is killed.

        Raises:
            errors.TestbedError: kubectl failed or took too long.
        """
        try:
            done = subprocess.run(
                [self.address.kubectl, f"--kubeconfig={self.kubeconfig}", *arguments],
                input=input,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
                env={**os.environ, "KUBECACHEDIR": str(self.folder / "kubectl"), "KUBERC": "off"},
            )
        except subprocess.TimeoutExpired as error:
            raise errors.TestbedError(
                f"kubectl {' '.join(arguments)} did not end within {timeout_s:.0f} s"
            ) from error
        if done.returncode == 0:
            return done.stdout
        if check:
            raise errors.TestbedError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout + done.stderr

    def apply(self, what: str | pathlib.Path) -> str:
        """Applies manifests: a path, or YAML or JSON text."""
        if isinstance(what, pathlib.Path):
            return self.kubectl("apply", "--server-side", "-f", str(what))
        return self.kubectl("apply", "--server-side", "-f", "-", input=what)

    def load(self, image: images.Image) -> str:
        """Brings an image to the real node; gives what a pod writes as its image.

        Raises:
            errors.TestbedError: this testbed has no real node.
        """
        if self.address.containerd is None:
            raise errors.TestbedError(
                "this testbed has no real node: start it with `charon lab up --nodes real`"
            )
        return images.load(image, self.address.containerd)

    def scrape(self, name: str, host_port: str, labels: Mapping[str, str] | None = None) -> None:
        """Adds or moves a scrape target; its own labels win over these (honor_labels)."""
        metrics.write_target(self.files.targets, name, host_port, labels or {})

    def unscrape(self, name: str) -> None:
        """Removes a scrape target."""
        metrics.remove_target(self.files.targets, name)

    def service_account_kubeconfig(
        self,
        namespace: str,
        name: str,
        out: pathlib.Path,
        *,
        api_url: str | None = None,
        ca_file: pathlib.Path | None = None,
        lifetime_s: int = 3600,
    ) -> pathlib.Path:
        """A kubeconfig with a token of the ServiceAccount (TokenRequest), kept in `<out>.token`.

        Args:
            namespace: of the ServiceAccount.
            name: of the ServiceAccount.
            out: the file to write.
            api_url: another address of the API server, as that of a proxy in front of it.
            ca_file: the CA of that address.
            lifetime_s: of the token; the API server gives at least 600.
        """
        token = self.kubectl(
            "create", "token", name, f"--namespace={namespace}", f"--duration={lifetime_s}s"
        )
        return kubeconfigs.with_token(
            out, api_url or self.api_url, ca_file or self.ca_file, token.strip()
        )

    def user_kubeconfig(self, user: str, groups: Sequence[str], out: pathlib.Path) -> pathlib.Path:
        """A kubeconfig with a client certificate for a user in groups.

        Raises:
            errors.TestbedError: the cluster does not trust the testbed's CA.
        """
        if not self.address.can_sign:
            raise errors.TestbedError(
                "this cluster does not trust the testbed's CA: use `kubectl --as` instead"
            )
        pair = self._authority().client(f"user-{_file_name(user)}", user, groups)
        return kubeconfigs.with_certificate(out, self.api_url, self.ca_file, pair)

    def serving_certificate(self, hosts: Sequence[str]) -> tuple[pathlib.Path, pathlib.Path]:
        """A certificate and key for a server of ours, as a proxy before the API server.

        Clients trust it with `serving_ca_file`.
        """
        pair = self._authority().server(f"serving-{_file_name('-'.join(hosts))}", hosts)
        return pair.certificate, pair.key

    @property
    def serving_ca_file(self) -> pathlib.Path:
        """The testbed's own CA; with the modules provider it is `ca_file` too."""
        return self._authority().pair.certificate

    def _authority(self) -> certificates.Authority:
        return certificates.Authority(self.files.keys)


def _file_name(text: str) -> str:
    return "".join(c if c.isalnum() or c in "-." else "_" for c in text)[:100]
