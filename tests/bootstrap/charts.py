"""What stands for the charts that cannot be had here: an archive each, reading our values.

The exporters are pods that serve one page, found by the annotations that our values give them.
Alloy's chart is its rights alone: its rules run in an agent beside the cluster. Grafana's is
nothing.
"""

import io
import tarfile

from charon_operator.testbed import images
from tests.bootstrap.host import Host

_NOTHING = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: stands-for-{{ .Release.Name }}}\n"
_RIGHTS = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: alloy}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: alloy}
rules:
- {apiGroups: [""], resources: [nodes/metrics], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: alloy}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: alloy}
subjects:
- {kind: ServiceAccount, name: alloy, namespace: "{{ .Release.Namespace }}"}
"""
_EXPORTER = """
{{- $name := .Values.fullnameOverride }}
{{- $port := index .Values.podAnnotations "prometheus.io/port" }}
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ $name }}"}
data:
  metrics: |
    PAGE
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: "{{ $name }}"}
spec:
  selector:
    matchLabels: {app.kubernetes.io/name: "{{ default .Chart.Name .Values.nameOverride }}"}
  template:
    metadata:
      labels: {app.kubernetes.io/name: "{{ default .Chart.Name .Values.nameOverride }}"}
      annotations: {{ toJson .Values.podAnnotations }}
    spec:
      containers:
      - name: exporter
        image: IMAGE
        command: [/bin/busybox, httpd, -f, -p, "{{ $port }}", -h, /page]
        ports: [{containerPort: {{ $port }}}]
        resources: {{ toJson .Values.resources }}
        volumeMounts: [{name: page, mountPath: /page}]
      volumes:
      - name: page
        configMap: {name: "{{ $name }}"}
"""
_NEVER_READY = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: never-ready}
spec:
  selector: {matchLabels: {app: never-ready}}
  template:
    metadata: {labels: {app: never-ready}}
    spec: {containers: [{name: app, image: none, imagePullPolicy: Never}]}
"""
# What verify's app reads.
_PAUSED = 'kube_deployment_spec_paused{namespace="charon-verify",deployment="probe"} 1'


def serve(host: Host) -> None:
    """Has the host's curl give them, and versions.env their checksums."""
    _serve(host, "KUBE_STATE_METRICS", "kube-state-metrics", _exporter(_PAUSED))
    _serve(host, "NODE_EXPORTER", "prometheus-node-exporter", _exporter("node_load1 0"))
    _serve(host, "GRAFANA", "grafana", _NOTHING)
    serve_alloy(host)


def serve_alloy(host: Host, *, gets_ready: bool = True) -> None:
    _serve(host, "ALLOY", "alloy", _RIGHTS if gets_ready else _RIGHTS + "---" + _NEVER_READY)


def _exporter(page: str) -> str:
    return _EXPORTER.replace("PAGE", page).replace("IMAGE", images.busybox().reference)


def _serve(host: Host, line: str, name: str, body: str) -> None:
    about = f"apiVersion: v2\nname: {name}\nversion: 1.0.0\n"
    files = {f"{name}/Chart.yaml": about, f"{name}/templates/all.yaml": body}
    served = host.versions()[f"{line}_URL"].rpartition("/")[2]
    host.serve(served, archive(files), f"{line}_SHA256")


def archive(files: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()
