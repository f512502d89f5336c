"""What a real node is made of, without starting one: needs, network, cgroups, images, refusals."""

import hashlib
import io
import ipaddress
import json
import os
import pathlib
import tarfile

import click
import pytest

from charon_operator import errors, names, testbed
from charon_operator.cli import lab_testbed
from charon_operator.testbed import images, keeper, parts
from charon_operator.testbed.images import interpreter, oci
from charon_operator.testbed.node import needs, network


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs.sys, "platform", "linux")
    monkeypatch.setattr(needs.os, "geteuid", lambda: 0)


def missing() -> str:
    """What is said now, not what was remembered."""
    return needs.missing.__wrapped__()


def test_node_when_not_root_then_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs.sys, "platform", "linux")
    monkeypatch.setattr(needs.os, "geteuid", lambda: 1000)
    assert missing() == "a real node needs root: run this as root"


def test_node_when_on_another_system_then_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs.sys, "platform", "darwin")
    assert missing() == "a real node needs Linux"


@pytest.mark.usefixtures("as_root")
def test_node_when_nothing_is_installed_then_names_every_package_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(needs.shutil, "which", lambda name, path=None: None)
    monkeypatch.setattr(needs, "_PLUGINS", ())
    assert missing() == (
        "a real node needs what is not here: `apt install busybox-static containerd "
        "containernetworking-plugins iproute2 iptables mount runc util-linux`"
    )


@pytest.mark.usefixtures("as_root")
def test_node_when_busybox_needs_libraries_then_the_static_one_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setattr(needs, "_PLUGINS", (tmp_path,))
    (tmp_path / "bridge").touch()
    # A program that is linked to libraries on any Linux.
    monkeypatch.setattr(needs.shutil, "which", lambda name, path=None: "/bin/bash")
    assert missing() == "a real node needs what is not here: `apt install busybox-static`"


def test_start_when_a_real_node_cannot_run_then_is_refused_before_anything_is_built(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setattr(needs, "missing", lambda: "a real node needs a dog")
    config = testbed.Config(
        folder=tmp_path / "bed", cache=tmp_path / "cache", nodes=[testbed.RealNode()]
    )
    with pytest.raises(errors.TestbedError, match="a real node needs a dog"):
        testbed.start(config)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("nodes", "provider", "said"),
    [
        ([testbed.RealNode(), testbed.RealNode(name="b")], testbed.Provider.MODULES, "one real"),
        ([testbed.RealNode()], testbed.Provider.KIND, "not provider kind"),
    ],
)
def test_config_when_its_real_nodes_cannot_be_had_then_says_why(
    tmp_path: pathlib.Path,
    nodes: list[testbed.RealNode],
    provider: testbed.Provider,
    said: str,
) -> None:
    config = testbed.Config(folder=tmp_path, nodes=nodes, provider=provider)
    with pytest.raises(errors.TestbedError, match=said):
        _ = config.real_node


@pytest.mark.parametrize(
    ("text", "fake", "real"),
    [("0", 0, 0), ("3", 3, 0), ("real", 0, 1), ("2,real", 2, 1)],
)
def test_nodes_option_when_well_formed_then_names_them(text: str, fake: int, real: int) -> None:
    nodes = lab_testbed.nodes_of(None, None, text)
    assert [type(node) for node in nodes] == [testbed.Node] * fake + [testbed.RealNode] * real


def test_nodes_option_when_it_asks_for_gpus_then_a_node_of_its_own_has_them() -> None:
    plain, *rest, real = lab_testbed.nodes_of(None, None, "1,gpu:4xA100,gpu:16xT4,real")
    assert [node.name for node in (plain, *rest, real)] == ["node-0", "gpu-1", "gpu-2", "real-0"]
    assert [
        (node.labels[names.LABEL_GPU_PRODUCT], node.extended["nvidia.com/gpu"]) for node in rest
    ] == [("A100", "4"), ("T4", "16")]


@pytest.mark.parametrize(
    "text",
    ["", "-1", "1001", "3,", "3, real", "3,fake", "gpu:4", "gpu:0xA100", "gpu:4xA_1"],
)
def test_nodes_option_when_malformed_then_says_what_to_write(text: str) -> None:
    with pytest.raises(click.BadParameter, match="write a number up to 1000, real, gpu:4xA100,"):
        lab_testbed.nodes_of(None, None, text)


def test_part_when_another_program_of_its_module_changes_then_keeps_its_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setattr(parts, "MODULES", tmp_path)
    for name in ("kube", "node"):
        (tmp_path / "kubernetes" / name).mkdir(parents=True)
        (tmp_path / "kubernetes" / name / "main.go").write_text("one")
    before = {part.name: parts.key(part, "1") for part in (parts.KUBE, parts.NODE)}
    (tmp_path / "kubernetes" / "node" / "main.go").write_text("two")
    assert parts.key(parts.KUBE, "1") == before["kube"]
    assert parts.key(parts.NODE, "1") != before["node"]
    (tmp_path / "kubernetes" / "go.mod").write_text("shared")
    assert parts.key(parts.KUBE, "1") != before["kube"]


def test_network_when_reserved_twice_then_is_another_and_its_parts_do_not_overlap() -> None:
    first, claim = network.reserve(7)
    second, other = network.reserve(7)
    with claim, other:
        assert first.whole != second.whole
    pods = ipaddress.IPv4Network(first.pods)
    assert pods.num_addresses == 128
    assert ipaddress.IPv4Address(first.near) in first.whole
    assert ipaddress.IPv4Address(first.far) not in pods


def test_layer_when_made_again_then_is_the_one_in_the_cache(tmp_path: pathlib.Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    files: dict[str, oci.Content] = {
        "/bin/program": program,
        "/bin/name": oci.Link("program"),
        "/etc/text": b"said",
    }
    first = oci.layer(files, tmp_path / "cache")
    written = first.path.stat().st_ino
    assert oci.layer(files, tmp_path / "cache") == first
    assert first.path.stat().st_ino == written
    with tarfile.open(first.path) as tar:
        assert [m.name for m in tar if not m.isdir()] == ["bin/name", "bin/program", "etc/text"]
        assert tar.getmember("bin/program").mode == 0o755
        assert tar.getmember("bin/name").linkname == "program"
        assert tar.getmember("tmp").mode == 0o1777
    program.write_text("#!/bin/bash\n")
    assert oci.layer(files, tmp_path / "cache") != first


def test_layer_when_long_unused_then_makes_room_for_another(tmp_path: pathlib.Path) -> None:
    old, used = (oci.layer({"/a": text}, tmp_path) for text in (b"old", b"used"))
    for made in (old, used):
        os.utime(made.path, (0, 0))
    oci.layer({"/a": b"used"}, tmp_path)
    oci.layer({"/a": b"new"}, tmp_path)
    assert [made.path.exists() for made in (old, used)] == [False, True]


def test_packages_when_taken_then_come_with_what_they_require_and_no_more() -> None:
    taken = {package.name.lower() for package in interpreter._closure(["charon-operator"])}
    assert {"charon-operator", "kopf", "aiohttp", "multidict"} <= taken
    assert not {"pytest", "matplotlib", "numpy"} & taken


def test_keeper_when_handed_a_config_then_reads_the_same_one(tmp_path: pathlib.Path) -> None:
    nodes = [testbed.Node(name="a", extended={"nvidia.com/gpu": "1"}), testbed.RealNode(name="b")]
    config = testbed.Config(folder=tmp_path, nodes=nodes)
    text = json.dumps(keeper._as_document(config))
    assert keeper._from_document(json.loads(text)).nodes == nodes


def test_image_when_written_then_every_digest_is_that_of_its_blob(tmp_path: pathlib.Path) -> None:
    layer = oci.layer({"/a": b"b"}, tmp_path)
    image = images.Image(name="small", layers=[layer], command=["/a"], environment={"C": "d"})
    out = io.BytesIO()
    out.close = lambda: None  # type: ignore[method-assign]
    oci._write_archive(image, out)
    out.seek(0)
    with tarfile.open(fileobj=out) as archive:
        content = {m.name: archive.extractfile(m).read() for m in archive}  # type: ignore[union-attr]
    for name, blob in content.items():
        if name.startswith("blobs/"):
            assert name == f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}"
    [entry] = json.loads(content["index.json"])["manifests"]
    assert entry["annotations"] == {"io.containerd.image.name": image.reference}
    assert image.reference.startswith("testbed.charon.dev/small:")
    manifest = json.loads(content[f"blobs/sha256/{entry['digest'][7:]}"])
    assert manifest["layers"][0]["size"] == layer.path.stat().st_size


def test_image_when_its_configuration_differs_then_so_does_its_reference(
    tmp_path: pathlib.Path,
) -> None:
    layers = [oci.layer({"/a": b"b"}, tmp_path)]
    first = images.Image(name="a", layers=layers, command=["x"])
    second = images.Image(name="a", layers=layers, command=["y"])
    assert first.reference != second.reference


def test_folder_when_made_an_image_then_links_stay_links(tmp_path: pathlib.Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "a").touch()
    os.symlink("a", tmp_path / "bin" / "b")
    found = images.of_folder(tmp_path, "/opt")
    assert found == {"/opt/bin/a": tmp_path / "bin" / "a", "/opt/bin/b": images.Link("a")}
