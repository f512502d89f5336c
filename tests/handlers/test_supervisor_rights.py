"""The informer where APIs come and go, and rights are few, late or renewed."""

import json
import logging
from pathlib import Path

import pytest
import yarl

from charon_operator import names, testbed
from charon_operator.clients import kube_access
from charon_operator.loop.snapshot import Kind
from tests.clients.conftest import CRDS
from tests.faults import apifault
from tests.faults.apifault import Rule
from tests.handlers.informers import Begin, app_body, app_of
from tests.testbed_fixtures import wait_served, wait_until

pytestmark = pytest.mark.testbed


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
