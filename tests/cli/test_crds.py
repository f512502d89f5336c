"""`charon crds`: prints, writes, compares."""

import json
from pathlib import Path

import yaml
from click.testing import CliRunner, Result

from charon_operator.cli import main
from charon_operator.model import crd


def crds(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["crds", *map(str, arguments)])


def test_printed_yaml_and_json_are_the_definitions() -> None:
    assert list(yaml.safe_load_all(crds().output)) == crd.definitions()
    assert json.loads(crds("-o", "json").output)["items"] == crd.definitions()


def test_yaml_shares_nothing_by_alias() -> None:
    assert "&id" not in crds().output


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = crds("--write", tmp_path / "file" / "below")
    assert refused.exit_code == 1
    assert f"{tmp_path / 'file' / 'below'}" in refused.output
    assert "cannot be written: Not a directory" in refused.output


def test_written_files_pass_the_check_and_changed_ones_do_not(tmp_path: Path) -> None:
    folder = tmp_path / "crds"
    assert "out of date" in crds("--check", folder).output
    assert crds("--write", folder).exit_code == 0
    assert crds("--check", folder).exit_code == 0
    file = folder / "chargedapps.charon.dev.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("37", "38") + "\n")
    (folder / "stranger.yaml").write_text("")
    checked = crds("--check", folder)
    assert checked.exit_code == 1
    assert "chargedapps.charon.dev.yaml" in checked.output
    assert "stranger.yaml" in checked.output
    assert f"charon crds --write {folder}" in checked.output
