"""The other providers: an existing cluster by its kubeconfig, and kind's refusals."""

import pathlib

import pytest

from charon_operator import errors, testbed
from charon_operator.testbed import kubeconfigs
from charon_operator.testbed.providers import kind


@pytest.mark.testbed
def test_kubeconfig_provider_when_given_another_testbed_then_uses_it_and_leaves_it_up(
    bed: testbed.Testbed, namespace: str, tmp_path: pathlib.Path
) -> None:
    config = testbed.Config(
        folder=tmp_path / "existing",
        provider=testbed.Provider.KUBECONFIG,
        kubeconfig=bed.kubeconfig,
        mimir_url=bed.mimir_url,
        tenant="guest",
    )
    with testbed.start(config) as guest:
        assert [entry.name for entry in guest.status()] == ["agent"]
        assert guest.api_url == bed.api_url
        assert guest.mimir_url == bed.mimir_url
        assert namespace in guest.kubectl("get", "namespaces", "-o", "name")
        guest.service_account_kubeconfig(namespace, "default", tmp_path / "guest.kubeconfig")
        with pytest.raises(errors.TestbedError, match="audit log of a cluster that is not ours"):
            _ = guest.audit_log
        with pytest.raises(errors.TestbedError, match="kubectl --as"):
            guest.user_kubeconfig("alice", [], tmp_path / "alice.kubeconfig")
    assert {entry.state for entry in bed.status()} == {"Running"}


def test_kubeconfig_provider_when_no_file_is_named_then_says_which_option(
    tmp_path: pathlib.Path,
) -> None:
    config = testbed.Config(
        folder=tmp_path / "bed", provider=testbed.Provider.KUBECONFIG, with_metrics=False
    )
    with pytest.raises(errors.TestbedError, match="--kubeconfig"):
        testbed.prepare(config)


@pytest.mark.parametrize(
    "text",
    ["{}", "clusters: [{name: a, cluster: {server: 'https://a'}}]"],
    ids=["empty", "no context"],
)
def test_kubeconfig_provider_when_the_file_names_no_server_then_says_what_is_missing(
    tmp_path: pathlib.Path, text: str
) -> None:
    (tmp_path / "kubeconfig").write_text(text)
    config = testbed.Config(
        folder=tmp_path / "bed",
        provider=testbed.Provider.KUBECONFIG,
        kubeconfig=tmp_path / "kubeconfig",
        with_metrics=False,
    )
    with pytest.raises(errors.TestbedError, match="must name a server and its CA"):
        testbed.prepare(config)


@pytest.mark.parametrize("text", ["foo", "clusters: [1]", "a: [", "\xff"], ids=repr)
def test_kubeconfig_provider_when_the_file_is_none_then_says_so_in_one_line(
    tmp_path: pathlib.Path, text: str
) -> None:
    (tmp_path / "kubeconfig").write_text(text, encoding="latin-1")
    with pytest.raises(errors.TestbedError, match="is no usable kubeconfig") as refused:
        kubeconfigs.server_of(tmp_path / "kubeconfig")
    assert len(str(refused.value).splitlines()) == 1


def test_kind_provider_when_a_tool_is_missing_then_names_it_and_the_way_without(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(errors.TestbedError, match=r"needs docker on PATH.*--provider modules"):
        kind.check_tools()


def test_kind_provider_when_docker_does_not_answer_then_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    # Stand-ins: neither a container daemon nor kind can be had in a test.
    for tool in ("docker", "kind"):
        (tmp_path / tool).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / tool).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(errors.TestbedError, match="docker does not answer"):
        kind.check_tools()
