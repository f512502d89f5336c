"""The command line as a whole: what is missing or cannot be used is said in one line."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from charon_operator.cli import main

WITHOUT = "import sys; sys.modules[{module!r}] = None; from charon_operator.cli import main; main()"


def refusal(*arguments: str) -> str:
    """The one line in which a command is refused."""
    result: Result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1, result.exception
    (line,) = result.output.strip().splitlines()
    return line


@pytest.mark.parametrize(
    ("verb", "module"), [("simulate", "matplotlib"), ("demo", "jinja2"), ("lab", "rich")]
)
def test_verb_when_the_extra_is_not_installed_then_names_it(verb: str, module: str) -> None:
    program = [sys.executable, "-c", WITHOUT.format(module=module), verb, "--help"]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "pip install 'charon-operator[lab]'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("text", ["foo", "users: [", "contexts: [1]"], ids=repr)
def test_lab_plant_when_the_kubeconfig_is_none_then_says_so(tmp_path: Path, text: str) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(text)
    assert str(file) in refusal("lab", "plant", "--kubeconfig", str(file))


def test_verb_when_a_folder_cannot_be_made_then_says_which(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "below"
    arguments = ("demo", "--folder", str(folder))
    assert refusal(*arguments) == f"Error: {folder}: Not a directory"
