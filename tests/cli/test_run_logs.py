"""The log: one key=value line a record, no secret in any of them."""

import json
import logging
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from charon_operator import settings
from charon_operator.cli import configuration, logs, main, service

TOKEN = "tok-canary-5d1f"


def line(secrets: logs.Secrets, message: str, *args: object, trouble: bool = False) -> str:
    info = None
    if trouble:
        try:
            raise ValueError(f"bad {TOKEN}")
        except ValueError:
            info = sys.exc_info()
    record = logging.LogRecord("charon", logging.INFO, "", 0, message, args, info)
    return logs.KeyValueFormatter(secrets).format(record)


def test_record_when_formatted_then_is_one_line_of_keys_and_values() -> None:
    text = line(logs.Secrets(), 'says "%s"\nand more', "hi")
    head, _, message = text.partition(" message=")
    assert json.loads(message) == 'says "hi"\nand more'
    assert dict(part.split("=", 1) for part in head.split())["level"] == "info"


@pytest.mark.parametrize("trouble", [False, True], ids=["message", "traceback"])
def test_secret_when_in_a_record_then_is_not_shown(tmp_path: Path, trouble: bool) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    text = line(logs.Secrets((), [file]), "sent %s", f"Bearer {TOKEN}", trouble=trouble)
    assert TOKEN not in text
    assert "[redacted]" in text


def test_secrets_when_a_kubeconfig_holds_some_then_are_known(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("pw-canary-81")
    (tmp_path / "in-file").write_text("file-canary-7")
    kubeconfig = tmp_path / "kubeconfig"
    users = [
        {"name": "a", "user": {"token": TOKEN}},
        {"name": "b", "user": {"tokenFile": "in-file"}},
    ]
    kubeconfig.write_text(json.dumps({"users": users}))
    found = settings.Settings(mimir={"username": "me", "password_file": password})
    hidden = configuration.secrets(found, kubeconfig)
    text = hidden.redacted(f"{TOKEN} pw-canary-81 file-canary-7 else")
    assert text == "[redacted] [redacted] [redacted] else"


def test_secrets_when_the_kubeconfig_is_that_of_kubectl_then_are_not_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps({"users": [{"name": "a", "user": {"token": TOKEN}}]}))

    async def serve(configured: settings.Settings, options: service.Options) -> None:
        assert options.kubeconfig == kubeconfig
        logging.getLogger("charon").warning("sent %s", TOKEN)

    monkeypatch.setattr(service, "serve", serve)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    result = CliRunner().invoke(main, ["run"], env={"KUBECONFIG": str(kubeconfig)})
    assert result.exit_code == 0, result.output
    assert 'message="sent [redacted]"' in result.output


def test_log_when_entered_then_goes_to_stderr_and_afterwards_is_as_before(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = logging.getLogger().handlers[:]
    with logs.to_stderr("INFO", logs.Secrets([TOKEN])):
        logging.getLogger("charon").info("hello %s", TOKEN)
    assert 'message="hello [redacted]"' in capsys.readouterr().err
    assert logging.getLogger().handlers == before
