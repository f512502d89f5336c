"""The plant on real pods: status, readiness, deletion after the grace period, metrics in Mimir."""

import asyncio
import json
import threading
import time

import pytest
import yaml

from charon_operator import names
from charon_operator.cli import lab_plant
from charon_operator.errors import TestbedError
from charon_operator.lab import arrivals, parameters, plant
from charon_operator.ports import PlantOutput, PodState
from charon_operator.testbed import plant_exporter
from tests.testbed_fixtures import ask, wait_until

GRACE_S = 30.0


def deployment(replicas: int, driven: bool = True) -> str:
    labels = {"app": "consumer"} | ({names.LABEL_PLANT_DRIVEN: "true"} if driven else {})
    limits = {"limits": {"cpu": "1"}, "requests": {"cpu": "100m"}}
    container = {"name": "app", "image": "registry.invalid/none", "resources": limits}
    return yaml.safe_dump(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "consumer"},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": "consumer"}},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        }
    )


class Playing:
    """An exporter in a thread of its own; a context manager."""

    def __init__(self, bed, namespace: str) -> None:
        self._bed, self._namespace = bed, namespace
        self.model = plant.StreamPlant(parameters.load(), arrivals.step(200.0, 600.0), seed=1)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._ready = threading.Event()
        self.failure: Exception | None = None
        self.steps = 0

    async def _run(self) -> None:
        self._loop, self._stop, started = (
            asyncio.get_running_loop(),
            asyncio.Event(),
            asyncio.Event(),
        )
        async with lab_plant.connected(self._bed.kubeconfig) as api:
            self.exporter = plant_exporter.PlantExporter(
                self.model,
                api,
                namespace=self._namespace,
                deployment="consumer",
                observer=self._count,
            )
            playing = asyncio.create_task(self.exporter.run(self._stop, started))
            waiting = asyncio.create_task(started.wait())
            await asyncio.wait({playing, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            self._ready.set()
            try:
                await playing
            except TestbedError as error:
                self.failure = error

    def _count(self, *_: object) -> None:
        self.steps += 1

    def __enter__(self) -> "Playing":
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        if self.failure is None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()


def pods(bed, namespace: str) -> list[dict]:
    return json.loads(bed.kubectl("get", "pods", "-n", namespace, "-o", "json"))["items"]


def bound(bed, namespace: str) -> int:
    return sum("nodeName" in pod["spec"] for pod in pods(bed, namespace))


def ready(bed, namespace: str) -> int:
    text = bed.kubectl(
        "get", "deployment", "consumer", "-n", namespace, "-o", "jsonpath={.status.readyReplicas}"
    )
    return int(text or 0)


@pytest.mark.testbed
def test_pods_when_the_plant_plays_them_then_come_up_serve_and_end(bed, namespace) -> None:
    bed.kubectl("apply", "-n", namespace, "-f", "-", input=deployment(2))
    wait_until(lambda: bound(bed, namespace) == 2, "two bound pods")
    with Playing(bed, namespace) as playing:
        wait_until(lambda: ready(bed, namespace) == 2, "two ready pods")
        playing.model.begin(time.time())
        bed.scrape("plant-test", playing.exporter.address)
        wait_until(
            lambda: ask(bed, f'frames_received_total{{namespace="{namespace}"}} > 0'),
            "frames in Mimir",
        )
        series = ask(bed, f'frames_queued{{namespace="{namespace}",app="consumer"}}')
        assert {one["metric"]["pod"] for one in series} == {
            pod["metadata"]["name"] for pod in pods(bed, namespace)
        }
        bed.kubectl("scale", "deployment/consumer", "--replicas=8", "-n", namespace)
        wait_until(lambda: ready(bed, namespace) >= 3, "a started pod", timeout_s=60)
        bed.kubectl("scale", "deployment/consumer", "--replicas=1", "-n", namespace)
        lowered_s = time.monotonic()
        wait_until(lambda: len(pods(bed, namespace)) == 1, "one pod left", timeout_s=60)
        assert time.monotonic() - lowered_s > GRACE_S - 3
        bed.unscrape("plant-test")
        assert playing.model.account().processed > 0


@pytest.mark.testbed
def test_steady_pods_when_played_then_cost_no_requests(bed, namespace) -> None:
    bed.kubectl("apply", "-n", namespace, "-f", "-", input=deployment(3))
    wait_until(lambda: bound(bed, namespace) == 3, "three bound pods")
    with Playing(bed, namespace) as playing:
        wait_until(lambda: ready(bed, namespace) == 3, "three ready pods")
        before, steps = playing.exporter.requests, playing.steps
        wait_until(lambda: playing.steps > steps + 20, "twenty more steps")
        assert playing.exporter.requests == before


@pytest.mark.testbed
def test_deployment_without_the_label_when_played_then_is_refused(bed, namespace) -> None:
    bed.kubectl("apply", "-n", namespace, "-f", "-", input=deployment(1, driven=False))
    with Playing(bed, namespace) as playing:
        assert names.LABEL_PLANT_DRIVEN in str(playing.failure)


@pytest.mark.testbed
def test_deployment_that_is_not_there_when_played_then_is_named(bed, namespace) -> None:
    with Playing(bed, namespace) as playing:
        assert f"{namespace}/consumer" in str(playing.failure)


def test_page_when_rendered_then_is_prometheus_text_with_common_labels() -> None:
    output = PlantOutput(
        {"a": PodState(True)},
        [("depth", {"pod": "a"}, 12345678.0), ("seen_total", {"pod": "a"}, 0.5)],
    )
    assert plant_exporter.page(output, 'namespace="n",app="x"') == (
        "# TYPE depth gauge\n"
        'depth{namespace="n",app="x",pod="a"} 12345678.0\n'
        "# TYPE seen_total counter\n"
        'seen_total{namespace="n",app="x",pod="a"} 0.5\n'
    )
