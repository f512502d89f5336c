"""The stream example's programs as commands: help, bad input, programmes of rates, manifests."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.examples.stream import FOLDER

PROGRAMS = ("source", "broker", "consumer")
DOCUMENTS = list(yaml.safe_load_all((FOLDER / "1-workload.yaml").read_text()))
DEPLOYMENTS = {one["metadata"]["name"]: one for one in DOCUMENTS if one["kind"] == "Deployment"}


def run(name: str, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, FOLDER / f"{name}.py", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)


@pytest.mark.parametrize("name", PROGRAMS)
def test_help_when_asked_then_shows_examples(name: str) -> None:
    told, _ = run(name, "--help").communicate(timeout=60)
    assert f"examples:\n  python {name}.py" in told


BAD: list[tuple[tuple[str, ...], str]] = [
    (("source",), "the following arguments are required: --broker"),
    (("source", "--broker=5000"), "--broker: '5000' is not HOST:PORT, as 127.0.0.1:5000 is"),
    (("source", "--rate=many"), "--rate: 'many' is not a number from 0 to 100000"),
    (("source", "--step=60:30"), "--step: '60:30' is not RATE:START:SECONDS, as 60:30:120 is"),
    (("source", "--arrivals=none.csv"), "none.csv cannot be read: [Errno 2]"),
    (("source", "--step=1:1:1", "--arrivals=good.csv"), "--arrivals: not allowed with argument --"),
    (("source", "--arrivals=one.csv"), "one.csv needs at least two rows of numbers"),
    (("source", "--arrivals=back.csv"), "back.csv: seconds in the first column must ascend"),
    (("source", "--arrivals=words.csv"), "words.csv: a row needs seconds,frames_per_second"),
    (("source", "--arrivals=below.csv"), "below.csv: seconds must not be negative, rates from 0"),
    (("broker", "--listen=127.0.0.1:0", "--metrics-port=70000"), "'70000' is no whole number from"),
    (("broker", "--listen=192.0.2.1:0"), "broker: [Errno 99]"),
    (("consumer", "--batch=0"), "--batch: '0' is no whole number from 1 to 1000000"),
    (("consumer", "--on-stop=wait"), "invalid choice: 'wait' (choose from 'lose', 'drain')"),
]


def test_bad_input_gets_one_line_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "good": "0,5\n1,5\n",
        "one": "0,5\n",
        "back": "0,5\n0,6\n",
        "words": "a,b\n0,5\n1,x\n",
        "below": "0,5\n1,-6\n",
    }.items():
        Path(f"{name}.csv").write_text(text)
    running = [(run(*words), told) for words, told in BAD]
    for process, told in running:
        _, errors = process.communicate(timeout=60)
        assert process.returncode != 0
        assert told in errors.splitlines()[-1]
        assert "Traceback" not in errors


PROGRAMMES = {
    # A frame is due when the rate has summed up to it; a fraction goes on into the next piece.
    "--rate 2": "[0.5, 1.0, 1.5, 2.0]",
    "--rate 1 --step 4:1:0.5": "[1.0, 1.25, 1.5, 2.5]",
    "--rate 0 --step 2:3:1": "[3.5, 4.0]",
    "--arrivals load.csv": "[2.0, 4.125, 4.375, 4.625]",
    "--arrivals named.csv": "[1.0, 2.0, 3.0, 4.0]",
}


def test_frames_are_due_as_programmed(tmp_path: Path) -> None:
    # The last row holds as long as the one before it; what is left over when it ends is no frame.
    (tmp_path / "load.csv").write_text("t_s,arrivals_per_s\n0,0.5\n3,0\n4,4\n4.9,0\n")
    (tmp_path / "named.csv").write_text("arrivals_per_s,,t_s\n1,x,0\n1,y,4\n")
    code = (
        "import itertools, programme, source, sys\n"
        "for line in sys.argv[1:]:\n"
        "    options = source.arguments().parse_args(['--broker=a:1', *line.split()])\n"
        "    print(list(itertools.islice(programme.due_times(programme.pieces(options)), 4)))\n"
    )
    lines = [line.replace("--arrivals ", f"--arrivals {tmp_path}/") for line in PROGRAMMES]
    command = [sys.executable, "-c", code, *lines]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == list(PROGRAMMES.values()), done.stderr


def pod(name: str) -> dict[str, Any]:
    return DEPLOYMENTS[name]["spec"]["template"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_pods_are_restricted_capped_and_resized_without_a_restart(name: str) -> None:
    (container,) = pod(name)["spec"]["containers"]
    assert (container["image"], container["imagePullPolicy"]) == (
        "charon-example-stream:dev",
        "Never",
    )
    assert container["resources"]["limits"]["cpu"] == "300m"
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    assert {"resourceName": "cpu", "restartPolicy": "NotRequired"} in container["resizePolicy"]
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod(name)["spec"]["securityContext"]["runAsNonRoot"] is True
    assert pod(name)["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/ready", "port": "metrics"}
    assert {"name": "metrics", "containerPort": 9100} in container["ports"]
    selector = DEPLOYMENTS[name]["spec"]["selector"]["matchLabels"]
    assert pod(name)["metadata"]["labels"] == selector == {"app": name}


@pytest.mark.parametrize("name", PROGRAMS)
def test_pods_run_what_is_there_with_arguments_that_it_takes(name: str) -> None:
    (container,) = pod(name)["spec"]["containers"]
    interpreter, script = container["command"]
    assert (interpreter, script) == ("python3", f"/opt/stream/{name}.py")
    assert "COPY examples/stream/*.py /opt/stream/" in (FOLDER / "Containerfile").read_text()
    # Help comes after the other arguments were taken.
    process = run(name, *container["args"], "--help")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors


def test_a_drain_ends_before_the_pod_is_killed() -> None:
    arguments = pod("consumer")["spec"]["containers"][0]["args"]
    (grace,) = [one for one in arguments if one.startswith("--grace=")]
    assert float(grace.partition("=")[2]) < pod("consumer")["spec"]["terminationGracePeriodSeconds"]


def test_programs_are_short() -> None:
    sizes = {path.name: len(path.read_text().splitlines()) for path in FOLDER.glob("*.py")}
    assert {name: size for name, size in sizes.items() if size >= 200} == {}
