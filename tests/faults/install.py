"""Gives a testbed what the operator needs of it: CRDs, and the chart by the real helm.

Reads: crds/ and helm/charon-operator of this repository. Gives: objects in the testbed. Never: the
operator itself: the chart's pod is a fake one there, the real program runs beside the cluster with
the chart's ServiceAccount and rights.
"""

import os
import subprocess
import sys
from pathlib import Path

from charon_operator import names, testbed
from tests.testbed_fixtures import wait_served

SYSTEM = "charon-system"
ACCOUNT = "charon-operator"
_ROOT = Path(__file__).parents[2]
CRDS = _ROOT / "crds"
CHART = _ROOT / "helm" / "charon-operator"
HELM = Path(sys.executable).parent / "helm"
_HELM_TIMEOUT_S = 60
# Operators of tests run side by side with Leases of their own; the chart grants one name only.
_LEASES = f"""
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: faults-leases, namespace: {SYSTEM}}}
rules:
- {{apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, create, update, patch]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: faults-leases, namespace: {SYSTEM}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: faults-leases}}
subjects: [{{kind: ServiceAccount, name: {ACCOUNT}, namespace: {SYSTEM}}}]
"""


def install(bed: testbed.Testbed, *values: str) -> None:
    """Installs all of it; may be called again.

    Args:
        values: of the chart, as `knobs.resources.enabled=true`; without them its own.
    """
    install_crds(bed)
    chosen = [text for value in values for text in ("--set", value)]
    # What another test applied by other means is taken over.
    taken = ("--create-namespace", "--take-ownership")
    _helm(bed, "upgrade", "--install", ACCOUNT, str(CHART), *taken, *chosen)
    bed.apply(_LEASES)


def uninstall(bed: testbed.Testbed) -> None:
    """`helm uninstall`; helm keeps the CRDs."""
    _helm(bed, "uninstall", ACCOUNT, "--wait")


def install_crds(bed: testbed.Testbed) -> None:
    """Applies the CRDs and waits until they are served."""
    bed.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CRDS))
    kinds = (names.CHARGED_APPS, names.CONTROL_POLICIES)
    for plural in kinds:
        wait_served(bed, f"{plural}.{names.GROUP}")


def _helm(bed: testbed.Testbed, *arguments: str) -> None:
    where = [f"--kubeconfig={bed.kubeconfig}", f"--namespace={SYSTEM}"]
    homes = {f"HELM_{kind}_HOME": str(bed.folder / "helm") for kind in ("CACHE", "CONFIG", "DATA")}
    done = subprocess.run(
        [HELM, *arguments, *where],
        env={**os.environ, **homes},
        capture_output=True,
        text=True,
        timeout=_HELM_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
