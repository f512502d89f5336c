"""Informers on a real API server, begun and ended by a test, and what they have seen."""

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from charon_operator import testbed
from charon_operator.clients import kube_access
from charon_operator.handlers.supervisor import InformerThread
from charon_operator.loop.snapshot import Snapshot
from charon_operator.model.app import ChargedApp
from charon_operator.model.workload import Key, Target, Workload
from tests.clients.test_kube_cluster import APP
from tests.faults import apifault


class SystemClock:
    """The time of this machine."""

    def wall_s(self) -> float:
        return time.time()

    def monotonic_s(self) -> float:
        return time.monotonic()


Begin = Callable[..., tuple[Snapshot, InformerThread]]


@pytest.fixture
def begin(charged_bed: testbed.Testbed) -> Iterator[Begin]:
    """Begins an informer; ends it with the test and finds that it went in time."""
    begun: list[InformerThread] = []

    def make(
        kubeconfig: Path | None = charged_bed.kubeconfig,
        store: Snapshot | None = None,
        namespaces: tuple[str, ...] = (),
    ) -> tuple[Snapshot, InformerThread]:
        store = store or Snapshot(SystemClock())
        access = asyncio.run(kube_access.find(kubeconfig))
        informer = InformerThread(store, access, namespaces=namespaces, survey_every_s=1.0)
        informer.start()
        begun.append(informer)
        return store, informer

    yield make
    for informer in begun:
        assert informer.stop(timeout_s=15)


@pytest.fixture
def proxy(charged_bed: testbed.Testbed) -> Iterator[apifault.ApiFault]:
    certificate = charged_bed.serving_certificate(["127.0.0.1"])
    trust = ssl.create_default_context(cafile=charged_bed.ca_file)
    with apifault.ApiFault(charged_bed.api_url, tls=certificate, trust=trust) as made:
        yield made


@pytest.fixture
def behind(charged_bed: testbed.Testbed, proxy: apifault.ApiFault, tmp_path: Path) -> Path:
    """A kubeconfig of an administrator whose requests go through the proxy."""
    role = ["--clusterrole=cluster-admin", "--serviceaccount=default:informer"]
    charged_bed.kubectl("create", "serviceaccount", "informer", "-n", "default", check=False)
    charged_bed.kubectl("create", "clusterrolebinding", "informer", *role, check=False)
    return charged_bed.service_account_kubeconfig(
        *("default", "informer", tmp_path / "config"),
        api_url=proxy.url,
        ca_file=charged_bed.serving_ca_file,
    )


def app_body(namespace: str, name: str = "one") -> str:
    return json.dumps({**APP, "metadata": {"name": name, "namespace": namespace}})


def app_of(store: Snapshot, namespace: str, name: str = "one") -> ChargedApp | None:
    found = [app for app in store.apps() if app.key == Key(namespace, name)]
    return found[0] if found and isinstance(found[0], ChargedApp) else None


def replicas_of(store: Snapshot, target: Target) -> int | None:
    found = store.workload(target)
    return found.replicas if isinstance(found, Workload) else None


def create(bed: testbed.Testbed, target: Target, replicas: int = 1) -> None:
    bed.kubectl(
        *("create", "deployment", target.name, "-n", target.namespace),
        *("--image=x", f"--replicas={replicas}"),
    )
