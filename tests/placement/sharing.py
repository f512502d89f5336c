"""An app whose variants share one Deployment, on a real scheduler and Deployment controller.

Reads: a `Ground`. Gives: `Shared`, which tells in which form the Deployment is and was. Never:
writes to the Deployment once it is there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from charon_operator import names
from charon_operator.testbed import operator
from tests.faults import audit, watcher
from tests.gpu_bed import GPU
from tests.placement.manifests import Variant, Wish
from tests.placement.stage import PODS, App, Ground

WEB = "web"
USER = f"system:serviceaccount:{operator.NAMESPACE}:{operator.ACCOUNT}"


@dataclass(frozen=True)
class Way(Variant):
    """A form of the Deployment `web`."""

    gpus: int = 1
    product: str = ""

    @property
    def spec(self) -> dict[str, Any]:
        """As the app has it."""
        form = {"container": "app", "gpus": self.gpus, "product": self.product}
        reference = {"apiVersion": "apps/v1", "kind": names.DEPLOYMENT, "name": WEB}
        return {**super().spec, "scaleTargetRef": reference, "template": form}

    @property
    def workload(self) -> dict[str, Any]:
        """The Deployment in this form."""
        body = super().workload
        body["metadata"]["name"] = WEB
        pods = body["spec"]["template"]["spec"]
        if self.product:
            pods["nodeSelector"] = {names.LABEL_GPU_PRODUCT: self.product}
        return body


class Shared(App):
    """The app; `live` names the variant that its Deployment is."""

    @classmethod
    def on(cls, ground: Ground, *ways: Way, load: float, **wish: Any) -> "Shared":
        """One under control, whose Deployment is in the form of the first."""
        made = cls(ground.stage, "shared", ground.namespace("shared"), ways, Wish(extra=wish))
        ground.adopt(made, ways[0].workload)
        made.load(load)
        made.begin()
        return made

    @property
    def _labels(self) -> dict[str, str]:
        return {"namespace": self.namespace, "app": WEB}

    @property
    def deployment(self) -> Mapping[str, Any]:
        """As it is now."""
        seen = self.stage.watcher.now(watcher.DEPLOYMENTS, self.namespace, WEB)
        return seen.body if seen else {}

    def form_of(self, pods: Mapping[str, Any]) -> str:
        """The variant that a pod, or a template, is made as."""
        limits = pods["containers"][0]["resources"].get("limits", {})
        product = (pods.get("nodeSelector") or {}).get(names.LABEL_GPU_PRODUCT, "")
        found = (int(limits.get(GPU, 0)), product)
        ways = self.variants.values()
        return next(one.name for one in ways if (one.gpus, one.product) == found)  # type: ignore[attr-defined]

    @property
    def live(self) -> str:
        return self.form_of(self.deployment["spec"]["template"]["spec"])

    def forms(self) -> list[tuple[str, int]]:
        """What the Deployment was asked for, after each change."""
        found: list[tuple[str, int]] = []
        for sight in list(self.stage.watcher.sights):
            if (sight.path, sight.namespace) == (watcher.DEPLOYMENTS, self.namespace):
                now = self.form_of(sight.spec["template"]["spec"]), int(sight.spec["replicas"])
                found += [now] if found[-1:] != [now] else []
        return found

    def fewest_ready(self, since_s: float) -> int:
        """Of the Deployment's pods, in whatever form, after a moment."""
        return min(
            int(sight.status.get("readyReplicas", 0))
            for sight in list(self.stage.watcher.sights)
            if (sight.path, sight.namespace) == (watcher.DEPLOYMENTS, self.namespace)
            and sight.time_s >= since_s
        )

    def waited(self) -> set[str]:
        """Names of pods that were ever told to find no node."""
        return {
            sight.name
            for sight in list(self.stage.watcher.sights)
            if (sight.path, sight.namespace) == (PODS, self.namespace)
            for one in sight.status.get("conditions") or ()
            if one["type"] == "PodScheduled" and one.get("reason") == "Unschedulable"
        }

    def wait_live(self, name: str, count: int, timeout_s: float = 60.0) -> None:
        """The Deployment is that variant, with so many ready pods and no other."""

        def there() -> bool:
            pods = self.pods()
            spec, status = self.deployment.get("spec"), self.deployment.get("status", {})
            if not spec or self.live != name or spec["replicas"] != count:
                return False
            all_in_form = [self.form_of(pod.spec) for pod in pods] == [name] * count
            return all_in_form and status.get("readyReplicas", 0) == count

        self._wait(there, f"{count} pods of {name}", timeout_s)


def patches(log: audit.Log, app: App) -> list[audit.Write]:
    """What the operator has written to the Deployment itself."""
    written = log.writes(USER, app.namespace)
    return [one for one in written if one.resource == "deployments" and not one.subresource]
