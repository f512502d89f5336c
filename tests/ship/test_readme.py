"""What the READMEs show is what there is: files, commands, manifests."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from charon_operator import settings
from charon_operator.cli import main, manifest, offline
from charon_operator.model.status import ChargedAppStatus
from tests.ship import chart

ROOT = chart.ROOT
READMES = [ROOT / "README.md", *sorted(ROOT.glob("examples/*/README.md"))]
_FENCE = re.compile(r"(?:<!-- (?P<file>\S+) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)```", re.DOTALL)
# Seconds, no cluster: these run as they stand there.
_RUN = ("simulate", "compare", "validate", "crds")


def blocks(kind: str, path: Path = ROOT / "README.md") -> list[re.Match[str]]:
    found = _FENCE.finditer(path.read_text(encoding="utf-8"))
    return [block for block in found if block["kind"] == kind]


def commands() -> list[str]:
    lines = [
        line
        for path in READMES
        for block in blocks("sh", path)
        for line in block["text"].strip().splitlines()
    ]
    return list(dict.fromkeys(lines))


@pytest.mark.parametrize("line", commands(), ids=str)
def test_command_exists_and_runs_where_it_can(
    line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(ROOT)
    # What a shell would put there, on a machine with a testbed.
    (tmp_path / "kubeconfig").touch()
    line = line.replace("$KUBECONFIG", str(tmp_path / "kubeconfig"))
    words = shlex.split(line.replace("~/.local/state/charon/lab", str(tmp_path)))
    {
        "make": _make,
        "charon": _charon,
        "export": _export,
        "helm": _helm,
        "kubectl": _kubectl,
        "docker": _docker,
        "python": _python,
        "bootstrap/charon-bootstrap": _bootstrap,
    }[words[0]](words[1:])


def _make(words: list[str]) -> None:
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(words) <= set(targets)


def _charon(words: list[str]) -> None:
    if words[0] in _RUN:
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 0, result.output
        return
    command: click.Command = main
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None
        command = found
    # Parses the rest without calling it: an option that is not there is an error.
    command.make_context(command.name or "", words)


def _export(words: list[str]) -> None:
    shown = re.fullmatch(r"KUBECONFIG=\$\(charon (.*)\)", " ".join(words))
    assert shown is not None
    _charon(shown[1].split())


def _helm(words: list[str]) -> None:
    kept = [
        word
        for word in words[1:]
        if word not in ("--create-namespace", "--reset-then-reuse-values")
    ]
    assert "kind: Deployment" in chart.helm("template", *kept)


def _kubectl(words: list[str]) -> None:
    files = [words[i + 1] for i, word in enumerate(words) if word == "-f"]
    assert all((ROOT / file).exists() for file in files)
    assert words[0] in ("get", "explain", "describe", "label", "apply")


def _docker(words: list[str]) -> None:
    files = [words[i + 1] for i, word in enumerate(words) if word == "-f"]
    assert all((ROOT / file).is_file() for file in files)


def _python(words: list[str]) -> None:
    # Help comes after the other arguments were taken: one that is not there is an error.
    done = subprocess.run([sys.executable, *words, "--help"], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr


def _bootstrap(words: list[str]) -> None:
    # What it does without --dry-run is tested on played hosts.
    assert "--dry-run" in words
    script = ROOT / "bootstrap" / "charon-bootstrap"
    done = subprocess.run([script, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "helm upgrade --install charon-operator" in done.stdout


def test_manifests_are_the_examples_to_the_letter() -> None:
    shown = [block for block in blocks("yaml") if block["file"] not in (None, "charon.yaml")]
    assert shown
    for block in shown:
        assert block["text"] == (ROOT / block["file"]).read_text(encoding="utf-8")


def test_configuration_is_one_that_the_operator_takes(tmp_path: Path) -> None:
    (block,) = [block for block in blocks("yaml") if block["file"] == "charon.yaml"]
    file = tmp_path / "charon.yaml"
    file.write_text(block["text"])
    assert settings.load(file).mimir.scopes[0].tenant == "charon"


def test_status_is_one_that_the_api_has() -> None:
    (block,) = [block for block in blocks("yaml") if block["text"].startswith("status:")]
    status = yaml.safe_load(block["text"])["status"]
    assert ChargedAppStatus.problems(status, "status") == []
    schema = offline.crd.schemas()["ChargedApp"]["properties"]["status"]
    assert list(offline.against(status, schema, "status")) == []


def test_every_manifest_shown_is_valid() -> None:
    for path in READMES:
        for block in blocks("yaml", path):
            documents = [d for d in manifest.read(block["text"]) if "spec" in d.body]  # type: ignore[union-attr]
            found = [offline.ours(path.name, document) for document in documents]  # type: ignore[arg-type]
            resources = [one for one in found if isinstance(one, offline.Resource)]
            assert len(resources) == len(documents)
            problems = offline.check(resources, settings.Mimir())
            assert [one for one in problems if not one.note] == []


# A label or an annotation, which is no path.
_KEY = re.compile(r"\.(dev|io|com)/")
# Where a path begins, or a file at the top.
_PATH = re.compile(r"`((?:[\w.-]+/)+[\w.-]*|[A-Z]{5,}(?:\.md)?|[\w-]+\.(?:md|yaml|toml))`")


@pytest.mark.parametrize(
    "path",
    [*READMES, ROOT / "bootstrap" / "README.md"],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_every_path_named_is_there(path: Path) -> None:
    rooms = {path.name for path in (ROOT / "charon_operator").iterdir() if path.is_dir()}
    for name in _PATH.findall(path.read_text(encoding="utf-8")):
        if name.startswith(("demo/", ".venv/", "charon.yaml")) or _KEY.search(name):
            continue
        base = ROOT / "charon_operator" if name.rstrip("/") in rooms else ROOT
        assert (base / name).exists() or (path.parent / name).exists(), name
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / link).exists(), link


def test_every_verb_of_the_command_line_is_named() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for verb in main.list_commands(click.Context(main)):
        assert f"charon {verb}" in text or f"make {verb}" in text, verb
        assert verb in changes
