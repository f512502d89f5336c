"""Has the agent scrape the pods of the real node that ask for it by the usual annotations.

Reads: the node's pods, once a second: prometheus.io/scrape, /port and /path, as many clusters
have them. Gives: one scrape target a pod, labelled with `namespace`, `pod` and the pod's `app`.
Never: touches a target that somebody named.
"""

import contextlib
import pathlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pykube

from charon_operator.testbed import metrics

_JOB: Final = "pods"
_PREFIX: Final = "pod-"
# A pod's uid, as no person names a target.
_OURS: Final = f"{_PREFIX}????????-????-????-????-????????????"
_PERIOD_S: Final = 1.0
_PATIENCE_S: Final = 5.0
_PHASES: Final = ("Pending", "Running")

Json = Mapping[str, Any]


class PodTargets:
    """Follows the pods of one node in a thread, until it is stopped.

    Args:
        kubeconfig: of somebody who may list pods.
        node: its name.
        targets: the folder of the agent's targets.
    """

    def __init__(self, kubeconfig: pathlib.Path, node: str, targets: pathlib.Path) -> None:
        self._kubeconfig, self._node, self._targets = kubeconfig, node, targets
        self._told: dict[str, Json] = {}
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="podtargets", daemon=True)

    def start(self) -> None:
        """Begins to follow; what an earlier run left behind goes."""
        for file in self._targets.glob(f"{_OURS}.json"):
            file.unlink()
        self._thread.start()

    def stop(self) -> None:
        """Ends, and leaves the targets as they are."""
        self._ends.set()
        self._thread.join()

    def _follow(self) -> None:
        config = pykube.KubeConfig.from_file(str(self._kubeconfig))
        api = pykube.HTTPClient(config, timeout=_PATIENCE_S)
        with contextlib.closing(api.session):
            while not self._ends.wait(_PERIOD_S):
                # While the API server is away, pods stay as they were last seen. All that a
                # request meets is an OSError; half an answer is a ValueError.
                with contextlib.suppress(OSError, ValueError):
                    self._tell(dict(self._asking(api)))

    def _asking(self, api: Any) -> Iterator[tuple[str, Json]]:
        here = {"fieldSelector": f"spec.nodeName={self._node}"}
        answer = api.get(version="v1", url="pods", params=here)
        answer.raise_for_status()
        for pod in answer.json()["items"]:
            if wanted := target(pod):
                yield f"{_PREFIX}{pod['metadata']['uid']}", wanted

    def _tell(self, wanted: Mapping[str, Json]) -> None:
        for name in self._told.keys() - wanted.keys():
            metrics.remove_target(self._targets, name)
        for name, one in wanted.items():
            if self._told.get(name) != one:
                metrics.write_target(self._targets, name, one["address"], one["labels"])
        self._told = dict(wanted)


def target(pod: Json) -> Json | None:
    """Address and labels of a pod that asks to be scraped and can be; None of any other."""
    meta, status = pod["metadata"], pod["status"]
    asked = meta.get("annotations") or {}
    port = asked.get("prometheus.io/port", "")
    if asked.get("prometheus.io/scrape") != "true" or not port.isdecimal():
        return None
    if status.get("phase") not in _PHASES or not status.get("podIP"):
        return None
    labels = {"job": _JOB, "namespace": meta["namespace"], "pod": meta["name"]}
    if app := (meta.get("labels") or {}).get("app"):
        labels["app"] = app
    if path := asked.get("prometheus.io/path"):
        labels["__metrics_path__"] = path
    return {"address": f"{status['podIP']}:{port}", "labels": labels}
