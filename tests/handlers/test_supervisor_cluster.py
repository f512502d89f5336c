"""The informer on a real API server: it sees everything, outlives everything, leaves no trace."""

import json
from pathlib import Path

import pytest

from charon_operator import names, testbed
from charon_operator.model.workload import Absent, Target
from tests.faults import apifault
from tests.faults.apifault import Rule
from tests.handlers.informers import Begin, app_body, app_of, create, replicas_of
from tests.testbed_fixtures import wait_until

pytestmark = pytest.mark.testbed


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


def test_it_stops_at_once_while_the_api_server_is_away(
    bed: testbed.Testbed, begin: Begin, proxy: apifault.ApiFault, behind: Path
) -> None:
    store, informer = begin(behind)
    wait_until(lambda: store.synced, "every kind to be listed")
    with proxy.refusing():
        assert informer.stop(timeout_s=10)
