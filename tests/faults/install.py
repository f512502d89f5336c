"""Gives a testbed what the operator needs of it: CRDs and the rights of the chart.

Reads: crds/ and helm/charon-operator of this repository. Gives: objects applied to the testbed.
Never: runs the operator; it runs beside the cluster with the chart's ServiceAccount.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from charon_operator import names, testbed

SYSTEM = "charon-system"
ACCOUNT = "charon-operator"
_ROOT = Path(__file__).parents[2]
CRDS = _ROOT / "crds"
CHART = _ROOT / "helm" / "charon-operator"
HELM = Path(sys.executable).parent / "helm"
_RIGHTS = {
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ClusterRole",
    "ClusterRoleBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}
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


def install(bed: testbed.Testbed) -> None:
    """Applies all of it; may be called again."""
    install_crds(bed)
    system = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}}
    bed.apply(yaml.safe_dump(system))
    bed.kubectl(
        "apply",
        "--server-side",
        "--force-conflicts",
        "-f",
        "-",
        input=yaml.safe_dump_all([*rights(), *yaml.safe_load_all(_LEASES)]),
    )


def uninstall(bed: testbed.Testbed) -> None:
    """Takes away what `helm uninstall` would: everything but the CRDs, which helm keeps."""
    documents = yaml.safe_dump_all(rights())
    bed.kubectl("delete", "--ignore-not-found", "--timeout=30s", "-f", "-", input=documents)


def install_crds(bed: testbed.Testbed) -> None:
    """Applies the CRDs and waits until they are served."""
    bed.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CRDS))
    kinds = (names.CHARGED_APPS, names.CONTROL_POLICIES)
    for plural in kinds:
        bed.kubectl("wait", "--for=condition=Established", f"crd/{plural}.{names.GROUP}")


def rights() -> list[dict[str, Any]]:
    """What the chart would install beside the operator's own Deployment and its kin."""
    command = [HELM, "template", ACCOUNT, CHART, f"--namespace={SYSTEM}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    documents = [d for d in yaml.safe_load_all(done.stdout) if d]
    return [d for d in documents if d["kind"] in _RIGHTS]
