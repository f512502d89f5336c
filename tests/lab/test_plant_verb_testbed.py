"""`charon lab plant` as a person calls it."""

import signal
import subprocess
import sys
import urllib.request

import pytest
from click.testing import CliRunner

from charon_operator.cli import main
from tests.lab.test_plant_exporter_testbed import bound, deployment, ready
from tests.testbed_fixtures import ask, wait_until


@pytest.mark.testbed
def test_plant_when_called_then_is_scraped_until_it_is_interrupted(bed, namespace) -> None:
    bed.kubectl("apply", "-n", namespace, "-f", "-", input=deployment(1))
    wait_until(lambda: bound(bed, namespace) == 1, "a bound pod")
    where = ["--kubeconfig", str(bed.kubeconfig), "--folder", str(bed.folder)]
    command = [sys.executable, "-m", "charon_operator", "lab", "plant", "--namespace", namespace]
    with subprocess.Popen(
        [*command, *where], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        assert running.stdout is not None
        line = running.stdout.readline()
        assert line.startswith("Metrics at "), line
        address = line.split()[2].rstrip(".")
        wait_until(lambda: ready(bed, namespace) == 1, "a ready pod")
        with urllib.request.urlopen(address, timeout=5) as answer:
            assert f'namespace="{namespace}"' in answer.read().decode()
        query = f'frames_queued{{namespace="{namespace}"}}'
        wait_until(lambda: ask(bed, query), "its metrics in Mimir")
        running.send_signal(signal.SIGINT)
        output = running.stdout.read()
    assert running.returncode == 0, output
    assert "Traceback" not in output


def test_help_when_asked_for_then_shows_examples() -> None:
    done = CliRunner().invoke(main, ["lab", "plant", "--help"])
    assert "charon lab plant --kubeconfig" in done.output
