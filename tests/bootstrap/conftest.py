"""A played host for each test."""

from pathlib import Path

import pytest

from tests.bootstrap.host import Host


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.fixture
def gpu_host(tmp_path: Path) -> Host:
    return Host(tmp_path, gpu=True)
