"""cluster.env and versions.env: one line for what is wrong, and nothing done."""

import re

import pytest

from tests.bootstrap.host import ALL, BOOTSTRAP, Host

_BAD = [
    ("CLUSTER_CIDR=10.31.0.0", "CLUSTER_CIDR"),
    ("CLUSTER_CIDR=10.300.0.0/16", "CLUSTER_CIDR"),
    ("CLUSTER_CIDR=10.31.0.0/33", "CLUSTER_CIDR"),
    ("SERVICE_CIDR=10.31.128.0/20\nCLUSTER_DNS=10.31.128.10", "SERVICE_CIDR"),
    ("SERVICE_CIDR=fd00::/64", "SERVICE_CIDR"),
    ("CLUSTER_DNS=10.33.0.10", "CLUSTER_DNS"),
    ("FLANNEL_BACKEND=host-gw", "FLANNEL_BACKEND"),
    ("NODE_NAME=Host_A", "NODE_NAME"),
    ("NODE_IP=10.0.0", "NODE_IP"),
    ("KUBECONFIG_GROUP=two words", "KUBECONFIG_GROUP"),
    ("SERVER_URL=http://10.0.0.5:6443", "SERVER_URL"),
    ("TOKEN_FILE=token", "TOKEN_FILE"),
    ("GPU=maybe", "GPU"),
    ("MIMIR=both", "MIMIR"),
    ("OPERATOR_IMAGE=charon-operator", "OPERATOR_IMAGE"),
    ("OPERATOR_IMAGE=charon@sha256:12", "OPERATOR_IMAGE"),
    ("NODE_NAME=$(touch /tmp/run)", "NODE_NAME"),
    ("K3S_TOKEN=canary", "K3S_TOKEN"),
    ("# fine\n\nGPU = yes", "line 3"),
    ("export GPU=yes", "line 1"),
]


@pytest.mark.parametrize(("text", "named"), _BAD, ids=[text for text, _ in _BAD])
def test_config_when_a_field_is_bad_then_one_line_names_it(
    host: Host, text: str, named: str
) -> None:
    (host.checkout / "bootstrap/cluster.env").write_text(text)
    told = host.run("server")
    assert told.code == 1
    [line] = told.err.splitlines()
    assert line.startswith(f"charon-bootstrap: CHECKOUT/bootstrap/cluster.env: {named}: "), line
    assert "canary" not in line
    assert host.log() == []


def test_config_when_it_is_named_and_not_there_then_it_says_so(host: Host) -> None:
    told = host.run("--config", "/no/such.env", "server")
    assert told.code == 1
    assert told.err == "charon-bootstrap: --config: /no/such.env cannot be read\n"


def test_mimir_when_given_as_an_option_then_it_is_checked_too(host: Host) -> None:
    told = host.run("--mimir", "both", "stack")
    assert told.err == "charon-bootstrap: --mimir: MIMIR: 'both' is not monolithic or distributed\n"


def test_example_when_read_then_it_is_every_field_at_its_default(host: Host) -> None:
    (host.checkout / "bootstrap/cluster.env").unlink()
    without = host.succeed("--dry-run", *ALL)
    example = str(host.checkout / "bootstrap/cluster.env.example")
    assert host.succeed("--config", example, "--dry-run", *ALL) == without
    fields = re.findall(r"(?m)^field (\w+)", (BOOTSTRAP / "steps/config.bash").read_text())
    written = re.findall(r"(?m)^(\w+)=", (BOOTSTRAP / "cluster.env.example").read_text())
    assert sorted(fields) == sorted(written)
