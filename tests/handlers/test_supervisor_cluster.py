"""The informer on a real API server: it sees everything, outlives everything, leaves no trace."""

import asyncio
import json
import logging
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yarl

from charon_operator import names, testbed
from charon_operator.clients import kube_access
from charon_operator.handlers.supervisor import InformerThread
from charon_operator.loop.snapshot import Kind, Snapshot
from charon_operator.model.app import ChargedApp
from charon_operator.model.workload import Absent, Key, Target, Workload
from tests.clients.conftest import CRDS
from tests.clients.test_kube_cluster import APP
from tests.faults import apifault
from tests.faults.apifault import Rule
from tests.testbed_fixtures import wait_served, wait_until

pytestmark = pytest.mark.testbed


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


def test_what_is_made_changed_and_deleted_is_seen(
    bed: testbed.Testbed, begin: Begin, namespace: str
) -> None:
    store, informer = begin()
    target = Target("Deployment", namespace, "web")
    wait_until(lambda: store.synced, "every kind to be listed")
    bed.apply(app_body(namespace))
    create(bed, target)
    bed.kubectl("label", "namespace", namespace, "team=a")
    wait_until(lambda: app_of(store, namespace), "the app")
    wait_until(lambda: replicas_of(store, target) == 1, "its target")
    wait_until(lambda: store.namespace_labels(namespace).get("team") == "a", "the label")
    hpa = ["autoscale", "deployment", "web", "-n", namespace, "--max=3", "--cpu=50%"]
    bed.kubectl(*hpa)
    one = app_of(store, namespace)
    assert one is not None
    wait_until(lambda: [r.kind for r in store.rivals(one)] == [names.HPA], "the rival")
    bed.kubectl("scale", "deployment", "web", "-n", namespace, "--replicas=2")
    wait_until(lambda: replicas_of(store, target) == 2, "two replicas")
    bed.kubectl("delete", "hpa,deployment,capp", "--all", "-n", namespace)
    wait_until(lambda: app_of(store, namespace) is None, "the app to go")
    wait_until(lambda: isinstance(store.workload(target), Absent), "the target to go")
    wait_until(lambda: not store.rivals(one), "the rival to go")
    assert informer.restarts == 0
    assert informer.problems == ()


def test_a_watched_app_carries_no_trace_of_it(
    bed: testbed.Testbed, begin: Begin, namespace: str
) -> None:
    store, _ = begin()
    bed.apply(app_body(namespace))
    wait_until(lambda: app_of(store, namespace), "the app")
    text = bed.kubectl("get", "capp", "one", "-n", namespace, "-o", "json")
    meta = json.loads(text)["metadata"]
    assert "finalizers" not in meta
    assert "annotations" not in meta
    events = json.loads(bed.kubectl("get", "events.events.k8s.io", "-n", namespace, "-o", "json"))
    assert events["items"] == []


def test_what_was_deleted_while_nobody_watched_is_gone_afterwards(
    bed: testbed.Testbed, begin: Begin, namespace: str
) -> None:
    store, first = begin()
    for name in ("one", "two"):
        bed.apply(app_body(namespace, name))
    wait_until(lambda: app_of(store, namespace, "two"), "both apps")
    assert first.stop(timeout_s=10)
    bed.kubectl("delete", "capp", "one", "-n", namespace)
    bed.apply(app_body(namespace, "three"))
    begin(store=store)
    wait_until(lambda: app_of(store, namespace, "three"), "the new app")
    assert app_of(store, namespace, "one") is None
    assert app_of(store, namespace, "two") is not None


def test_an_outage_of_the_api_server_is_outlived(
    bed: testbed.Testbed, begin: Begin, namespace: str
) -> None:
    store, informer = begin()
    target = Target("Deployment", namespace, "web")
    create(bed, target)
    wait_until(lambda: replicas_of(store, target) == 1, "the target")
    server = bed.process("kube-apiserver")
    server.stop()
    assert replicas_of(store, target) == 1
    server.start()
    bed.kubectl("delete", "deployment", "web", "-n", namespace)
    wait_until(lambda: isinstance(store.workload(target), Absent), "the target to go")
    assert informer.alive


@pytest.mark.parametrize("code", [500, 504, 410])
def test_an_error_in_a_watch_is_outlived(
    bed: testbed.Testbed,
    begin: Begin,
    namespace: str,
    proxy: apifault.ApiFault,
    behind: Path,
    code: int,
) -> None:
    store, informer = begin(behind)
    wait_until(lambda: store.synced, "every kind to be listed")
    wait_until(lambda: proxy.open_watches(names.DEPLOYMENTS), "a watch")
    target = Target("Deployment", namespace, "web")
    proxy.fail_watches(code, names.DEPLOYMENTS)
    create(bed, target)
    wait_until(lambda: replicas_of(store, target) == 1, "the target")
    # Kopf lists again after a 410 and dies of anything else.
    assert informer.restarts == (0 if code == 410 else 1)


def test_a_deletion_missed_between_two_lists_of_one_life_is_noticed(
    bed: testbed.Testbed, begin: Begin, namespace: str, proxy: apifault.ApiFault, behind: Path
) -> None:
    store, informer = begin(behind)
    bed.apply(app_body(namespace))
    wait_until(lambda: app_of(store, namespace), "the app")
    drop = Rule(
        verbs=("watch",),
        resource=names.CHARGED_APPS,
        do=apifault.EditEvents(apifault.Edit.DROP, type="DELETED"),
    )
    with proxy.broken(drop):
        bed.kubectl("delete", "capp", "one", "-n", namespace)
        bed.apply(app_body(namespace, "two"))
        wait_until(lambda: app_of(store, namespace, "two"), "the event after the lost one")
    assert app_of(store, namespace) is not None
    proxy.fail_watches(410, names.CHARGED_APPS)
    wait_until(lambda: app_of(store, namespace) is None, "the lost deletion")
    assert informer.restarts == 0


@pytest.mark.parametrize("code", [401, 403, 404, 503])
def test_refusals_of_everything_for_a_while_are_outlived(
    bed: testbed.Testbed,
    begin: Begin,
    namespace: str,
    proxy: apifault.ApiFault,
    behind: Path,
    code: int,
) -> None:
    store, informer = begin(behind)
    bed.apply(app_body(namespace))
    wait_until(lambda: app_of(store, namespace), "the app")
    with proxy.broken(Rule(do=apifault.refusal(code))) as rule:
        proxy.end_watches()
        wait_until(lambda: rule.hits > 20, "refusals")
        assert app_of(store, namespace) is not None
    bed.apply(app_body(namespace, "two"))
    wait_until(lambda: app_of(store, namespace, "two"), "what was made meanwhile", timeout_s=40)
    wait_until(lambda: informer.problems == (), "no problem any more")
    assert app_of(store, namespace) is not None


def test_answers_that_are_none_are_outlived(
    bed: testbed.Testbed, begin: Begin, namespace: str, proxy: apifault.ApiFault, behind: Path
) -> None:
    html = Rule(verbs=("list",), do=apifault.actions.Say(200, b"<html>", {}))
    with proxy.broken(html) as rule:
        store, _ = begin(behind)
        wait_until(lambda: rule.hits > 10, "answers that are none")
        assert not store.synced
    bed.apply(app_body(namespace))
    wait_until(lambda: app_of(store, namespace), "the app")


KEDA_CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: scaledobjects.keda.sh}
spec:
  group: keda.sh
  scope: Namespaced
  names: {plural: scaledobjects, kind: ScaledObject, singular: scaledobject}
  versions:
  - name: v1alpha1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""


def test_an_api_that_appears_later_is_watched_and_forgotten_when_it_goes(
    bed: testbed.Testbed, begin: Begin, namespace: str
) -> None:
    store, informer = begin()
    bed.apply(app_body(namespace))
    wait_until(lambda: app_of(store, namespace), "the app")
    one = app_of(store, namespace)
    assert one is not None
    bed.apply(KEDA_CRD)
    wait_served(bed, "scaledobjects.keda.sh")
    spec = {"scaleTargetRef": {"name": "web"}}
    meta = {"name": "keda", "namespace": namespace}
    body = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": meta}
    try:
        bed.apply(json.dumps({**body, "spec": spec}))
        wait_until(lambda: [r.kind for r in store.rivals(one)] == [names.SCALED_OBJECT], "a rival")
    finally:
        bed.kubectl("delete", "crd", "scaledobjects.keda.sh")
    wait_until(lambda: store.rivals(one) == (), "the rival to go")
    wait_until(lambda: store.synced and not informer.problems, "all to be well")


RIGHTS = """
apiVersion: rbac.authorization.k8s.io/v1
kind: {kind}
metadata: {{name: {name}{namespace}}}
rules:
- {{apiGroups: [charon.dev], resources: [chargedapps, controlpolicies], verbs: [get, list, watch]}}
- {{apiGroups: [apps], resources: [deployments, statefulsets], verbs: [get, list, watch]}}
- {{apiGroups: [""], resources: [namespaces], verbs: [get, list, watch]}}
{more}
"""


def test_a_missing_right_is_named_and_the_rest_is_watched(
    bed: testbed.Testbed, begin: Begin, namespace: str, tmp_path: Path
) -> None:
    role = {"kind": "ClusterRole", "name": namespace, "namespace": ""}
    bed.kubectl("create", "serviceaccount", "few", "-n", namespace)
    bed.apply(RIGHTS.format(**role, more=""))
    binding = [f"--clusterrole={namespace}", f"--serviceaccount={namespace}:few"]
    bed.kubectl("create", "clusterrolebinding", namespace, *binding)
    try:
        config = bed.service_account_kubeconfig(namespace, "few", tmp_path / "config")
        store, informer = begin(config)
        wait_until(lambda: store.synced, "what may be watched")
        assert sorted(informer.problems) == [
            f"{names.HPAS}.autoscaling may not be listed in the cluster: "
            "grant the operator get, list and watch",
            f"{names.PDBS}.policy may not be listed in the cluster: "
            "grant the operator get, list and watch",
        ] + [p for p in informer.problems if p.startswith(names.SCALED_OBJECTS)]
        more = (
            "- {apiGroups: [autoscaling, policy, keda.sh], "
            "resources: [horizontalpodautoscalers, poddisruptionbudgets, scaledobjects], "
            "verbs: [get, list, watch]}"
        )
        bed.apply(RIGHTS.format(**role, more=more))
        wait_until(lambda: not informer.problems, "the granted right to be noticed")
        wait_until(lambda: store.synced, "the rest to be listed")
        assert Kind.HPAS in store.silent_s()
        assert informer.blocking == ()
        bed.kubectl("delete", f"clusterrole/{namespace}")
        wait_until(lambda: informer.blocking, "the rights taken away to be noticed")
        assert store.synced
    finally:
        bed.kubectl("delete", "--ignore-not-found", f"clusterrole/{namespace}")
        bed.kubectl("delete", f"clusterrolebinding/{namespace}")


def test_rights_in_one_namespace_are_enough_to_serve_it(
    bed: testbed.Testbed, begin: Begin, namespace: str, tmp_path: Path
) -> None:
    bed.kubectl("create", "serviceaccount", "few", "-n", namespace)
    more = (
        "- {apiGroups: [autoscaling, policy, keda.sh], "
        "resources: [horizontalpodautoscalers, poddisruptionbudgets, scaledobjects], "
        "verbs: [get, list, watch]}"
    )
    where = f", namespace: {namespace}"
    bed.apply(RIGHTS.format(kind="Role", name="few", namespace=where, more=more))
    binding = ["--role=few", f"--serviceaccount={namespace}:few", "-n", namespace]
    bed.kubectl("create", "rolebinding", "few", *binding)
    bed.kubectl("label", "namespace", namespace, "team=a")
    config = bed.service_account_kubeconfig(namespace, "few", tmp_path / "config")
    store, informer = begin(config, namespaces=(namespace,))
    wait_until(lambda: store.synced, "the namespace to be listed")
    bed.apply(app_body(namespace))
    wait_until(lambda: app_of(store, namespace), "the app")
    wait_until(lambda: store.namespace_labels(namespace).get("team") == "a", "its labels")
    assert informer.problems == ()


def test_nothing_is_synced_before_the_labels_of_a_namespace_are_read(
    bed: testbed.Testbed, begin: Begin, namespace: str, proxy: apifault.ApiFault, behind: Path
) -> None:
    bed.kubectl("label", "namespace", namespace, f"{names.LABEL_FORCE_ADVISORY}=yes")
    bed.apply(app_body(namespace))
    refused = Rule(verbs=("get",), resource=names.NAMESPACES, do=apifault.refusal(500))
    with proxy.broken(refused) as rule:
        store, informer = begin(behind, namespaces=(namespace,))
        wait_until(lambda: app_of(store, namespace) and rule.hits > 1, "the app, labels refused")
        assert not store.synced
        assert f"namespace {namespace} cannot be read" in informer.problems[0]
    wait_until(lambda: store.synced, "the labels to be read")
    assert names.LABEL_FORCE_ADVISORY in store.namespace_labels(namespace)


def test_a_renewed_token_is_used_without_a_restart(
    bed: testbed.Testbed, begin: Begin, namespace: str, proxy: apifault.ApiFault, behind: Path
) -> None:
    store, informer = begin(behind)
    wait_until(lambda: store.synced, "every kind to be listed")
    fresh = bed.kubectl("create", "token", "informer", "-n", "default").strip()
    proxy.name_client(fresh, "renewed")
    token = behind.with_name(behind.name + ".token")
    token.with_name("draft").write_text(fresh)
    token.with_name("draft").replace(token)
    proxy.end_watches()
    wait_until(
        lambda: any(seen.asked.client == "renewed" for seen in proxy.requests("watch")),
        "a watch with the new token",
    )
    assert informer.restarts == 0


def test_it_stops_at_once_while_the_api_server_is_away(
    bed: testbed.Testbed, begin: Begin, proxy: apifault.ApiFault, behind: Path
) -> None:
    store, informer = begin(behind)
    wait_until(lambda: store.synced, "every kind to be listed")
    with proxy.refusing():
        assert informer.stop(timeout_s=10)


def test_our_own_crd_deleted_and_made_again_is_picked_up(
    charged_bed: testbed.Testbed, begin: Begin, namespace: str
) -> None:
    bed, crd = charged_bed, CRDS / "chargedapps.charon.dev.yaml"
    store, informer = begin()
    bed.apply(app_body(namespace))
    wait_until(lambda: app_of(store, namespace), "the app")
    try:
        bed.kubectl("delete", "-f", str(crd))
        wait_until(lambda: not store.apps(), "the apps to go")
        missing = "chargedapps.charon.dev is not served by this cluster: install the CRDs"
        wait_until(lambda: missing in informer.problems, "the missing CRD to be named")
    finally:
        bed.apply(crd)
        bed.kubectl("wait", "--for=condition=established", "crd/chargedapps.charon.dev")
    bed.apply(app_body(namespace, "two"))
    wait_until(lambda: app_of(store, namespace, "two"), "the new app")
    assert informer.problems == ()


def test_a_pod_watches_with_its_account_and_takes_up_a_new_authority(
    bed: testbed.Testbed,
    begin: Begin,
    namespace: str,
    behind: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    address = yarl.URL(bed.api_url)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", str(address.host))
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(address.port))
    monkeypatch.setattr(kube_access, "_ACCOUNT", tmp_path)
    behind.with_name(behind.name + ".token").rename(tmp_path / "token")
    authority = tmp_path / "ca.crt"
    authority.write_bytes(bed.ca_file.read_bytes())
    caplog.set_level(logging.INFO)
    store, informer = begin(None)
    wait_until(lambda: store.synced, "every kind to be listed")
    authority.write_bytes(bed.ca_file.read_bytes() * 2)
    wait_until(lambda: "begins anew for a new CA" in caplog.text, "a new life")
    bed.apply(app_body(namespace))
    wait_until(lambda: app_of(store, namespace), "the app")
    assert informer.restarts == 0
