"""Logging in: where, whom to trust, and a token that is never older than its file."""

import asyncio
from pathlib import Path

import pytest
import yaml

from charon_operator.clients import kube_access
from charon_operator.errors import ConfigurationError

CERTIFICATE = "-----BEGIN CERTIFICATE-----\n"


@pytest.fixture
def account(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("first\n")
    (tmp_path / "ca.crt").write_text(CERTIFICATE)
    return tmp_path


def kubeconfig(folder: Path, user: dict[str, str]) -> Path:
    file = folder / "config"
    content = {
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:6443/"}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
    }
    file.write_text(yaml.safe_dump(content))
    return file


@pytest.mark.parametrize(
    ("host", "server"),
    [("10.96.0.1", "https://10.96.0.1:6443"), ("fd00::1", "https://[fd00::1]:6443")],
)
def test_in_a_pod_the_api_server_is_an_address_not_a_name(
    account: Path, monkeypatch: pytest.MonkeyPatch, host: str, server: str
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    assert kube_access.in_pod(account).server == server


async def test_a_token_is_read_again_when_its_file_is_replaced(account: Path) -> None:
    access = kube_access.in_pod(account)
    assert await access.authorization() == "Bearer first"
    fresh = account / "fresh"
    fresh.write_text("second")
    fresh.replace(account / "token")
    assert await access.authorization() == "Bearer second"


async def test_a_token_file_that_is_gone_is_an_error_of_the_file(account: Path) -> None:
    access = kube_access.in_pod(account)
    (account / "token").unlink()
    with pytest.raises(OSError, match="token"):
        await access.authorization()


def test_a_new_authority_changes_the_fingerprint(account: Path) -> None:
    access = kube_access.in_pod(account)
    before = access.fingerprint()
    assert access.fingerprint() == before
    (account / "ca.crt").write_text(CERTIFICATE * 2)
    assert access.fingerprint() != before


def test_a_pod_without_a_mounted_account_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"ca\.crt is missing: mount"):
        kube_access.in_pod(tmp_path)


async def test_the_token_file_of_a_kubeconfig_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("one")
    access = await kube_access.find(kubeconfig(tmp_path, {"tokenFile": "secret"}))
    assert access.server == "https://127.0.0.1:6443"
    (tmp_path / "secret").write_text("other")
    assert await access.authorization() == "Bearer other"


async def test_a_token_in_a_kubeconfig_is_used(tmp_path: Path) -> None:
    access = await kube_access.find(kubeconfig(tmp_path, {"token": "t"}))
    assert await access.authorization() == "Bearer t"


@pytest.mark.parametrize(
    ("text", "context"),
    [("contexts: [", None), ("[]", None), ("{}", None), (None, "nowhere")],
    ids=["not YAML", "a list", "empty", "no such context"],
)
def test_a_kubeconfig_that_cannot_be_used_says_so(
    tmp_path: Path, text: str | None, context: str | None
) -> None:
    file = kubeconfig(tmp_path, {"token": "t"})
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigurationError, match="cannot be used"):
        asyncio.run(kube_access.find(file, context))


def test_the_way_in_is_what_was_named_then_the_pods_account_then_kubectls(
    account: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", f"{account}/first:{account}/second")
    assert kube_access.located(account / "named") == account / "named"
    monkeypatch.setattr(kube_access, "_ACCOUNT", account)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert kube_access.located(None) is None
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
    assert kube_access.located(None) == account / "first"


def test_without_any_way_in_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match="name a kubeconfig with --kubeconfig"):
        asyncio.run(kube_access.find())
