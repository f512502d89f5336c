"""The locks hold what pyproject.toml asks for, with hashes and without an address."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.ship.chart import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
LOCKS = {
    "requirements.lock": PROJECT["dependencies"],
    "requirements-dev.lock": [*PROJECT["dependencies"], *EXTRAS["lab"], *EXTRAS["dev"]],
    "requirements-go.lock": EXTRAS["go"],
}
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)(.*(?:\n    .*)*)", re.MULTILINE)


@pytest.mark.parametrize("name", LOCKS)
def test_lock_holds_what_is_asked_for_with_hashes(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    pinned = {canonicalize_name(pin[1]): pin for pin in _PIN.finditer(text)}
    for asked in map(Requirement, LOCKS[name]):
        pin = pinned.get(canonicalize_name(asked.name))
        assert pin is not None, f"{asked.name}: run `make lock`"
        assert asked.specifier.contains(pin[2]), f"{asked}: run `make lock`"
    assert [pin[1] for pin in pinned.values() if "--hash=sha256:" not in pin[3]] == []


@pytest.mark.parametrize("name", LOCKS)
def test_lock_names_no_address_and_no_path(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "--index-url" not in text
    assert re.findall(r"(?:https?|file)://", text) == []
