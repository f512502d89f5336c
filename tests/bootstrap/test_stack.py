"""stack and operator: what helm is asked for, when it is not, how an interrupted one goes on."""

import re

import pytest

from tests.bootstrap.host import IMAGE, Host
from tests.bootstrap.test_server import changes

_STACK = ["kube-state-metrics", "node-exporter", "alloy", "grafana"]


def releases(lines: list[str]) -> list[str]:
    return [line.split()[3] for line in lines if line.startswith("helm upgrade --install ")]


def applied(host: Host) -> str:
    return "".join(path.read_text() for path in (host.world / "objects").iterdir())


@pytest.fixture
def server(host: Host) -> Host:
    host.succeed("server")
    host.log()
    return host


def test_stack_when_asked_for_then_each_chart_is_a_pinned_archive(server: Host) -> None:
    server.succeed("stack")
    lines = changes(server)
    assert releases(lines) == _STACK
    for line in lines:
        if line.startswith("helm upgrade"):
            assert re.search(r" /var/lib/charon-bootstrap/charts/[a-z-]+-[\d.]+\.tgz ", line)
            assert "--namespace monitoring --values CHECKOUT/bootstrap/values/" in line
            assert "--wait --atomic --timeout 10m" in line


def test_stack_when_run_again_then_nothing_is_changed(server: Host) -> None:
    server.succeed("stack", "operator")
    before, state = server.touched(), server.state()
    server.log()
    server.succeed("stack", "operator")
    # What is applied again is what is there: the API server stores nothing.
    rest = {line for line in changes(server) if not line.startswith("helm history")}
    assert rest == {
        "k3s kubectl apply -f -",
        "k3s kubectl rollout status statefulset/mimir --namespace monitoring --timeout 10m",
    }
    assert server.touched() == before
    assert server.state() == state


def test_stack_when_values_change_then_that_release_alone_is_upgraded(server: Host) -> None:
    server.succeed("stack")
    server.log()
    values = server.checkout / "bootstrap/values/alloy.yaml"
    values.write_text(values.read_text() + "# changed\n")
    server.succeed("stack")
    assert releases(changes(server)) == ["alloy"]


@pytest.mark.parametrize(
    ("status", "first"),
    [
        ("pending-install", "uninstall"),
        ("pending-upgrade", "rollback"),
        ("pending-rollback", "rollback"),
    ],
)
def test_stack_when_helm_was_killed_in_the_middle_then_it_goes_on(
    server: Host, status: str, first: str
) -> None:
    (server.world / "releases/alloy").write_text(f'[{{"status":"{status}","description":"x"}}]')
    server.succeed("stack")
    lines = [line for line in changes(server) if " alloy " in line and "history" not in line]
    assert [line.split()[1] for line in lines] == [first, "upgrade"]


def test_stack_when_mimir_has_no_digest_then_it_is_not_pulled(server: Host) -> None:
    server.version("MIMIR_IMAGE_DIGEST", "")
    told = server.run("stack")
    assert told.code == 1
    assert "MIMIR_IMAGE_DIGEST is empty in versions.env" in told.err
    assert "skopeo inspect --format '{{.Digest}}' docker://docker.io/grafana/mimir:" in told.err
    assert "grafana/mimir" not in applied(server)


def test_stack_when_applied_then_mimir_is_named_by_digest(server: Host) -> None:
    server.succeed("stack")
    version = server.versions()["MIMIR_IMAGE"]
    assert f"image: {version}@sha256:{'2' * 64}\n" in applied(server)


def test_stack_when_mimir_is_distributed_then_its_chart_and_no_manifest(server: Host) -> None:
    (server.world / "secret").touch()
    server.succeed("--mimir", "distributed", "stack")
    lines = changes(server)
    assert releases(lines) == ["mimir", *_STACK]
    assert not any("rollout status statefulset/mimir" in line for line in lines)


def test_stack_when_there_is_no_bucket_then_the_secret_is_named(server: Host) -> None:
    told = server.run("--mimir", "distributed", "stack")
    assert told.code == 1
    assert "MIMIR: distributed needs the Secret mimir-bucket" in told.err


def test_operator_when_its_image_has_a_digest_then_that_is_pulled(server: Host) -> None:
    server.succeed("operator")
    [line] = [line for line in changes(server) if line.startswith("helm upgrade")]
    repository, digest = IMAGE.split("@")
    assert "CHECKOUT/bootstrap/../helm/charon-operator --namespace charon-system" in line
    assert line.endswith(
        f"--set image.repository={repository} --set-string image.tag= "
        f"--set image.digest={digest} --set image.pullPolicy=IfNotPresent"
    )


def test_operator_when_its_image_has_a_tag_then_it_is_never_pulled(server: Host) -> None:
    server.config(OPERATOR_IMAGE="registry:5000/charon-operator:1")
    server.succeed("operator")
    [line] = [line for line in changes(server) if line.startswith("helm upgrade")]
    assert line.endswith(
        "--set image.repository=registry:5000/charon-operator --set-string image.tag=1 "
        "--set image.digest= --set image.pullPolicy=Never"
    )


def test_operator_when_there_is_no_image_then_the_field_is_named(server: Host) -> None:
    server.config()
    told = server.run("operator")
    assert told.code == 1
    assert told.err.startswith("charon-bootstrap: OPERATOR_IMAGE: empty;")
