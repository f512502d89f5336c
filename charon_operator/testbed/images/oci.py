"""Images as containerd takes them: layers of files, a configuration, one archive.

Reads: files of this machine. Gives: layers, `Image`, and `load`, which imports one into a
containerd. Never: downloads anything.

A layer is a tar of files, kept in the cache under the hash of what is in it. An image is a list of
layers and a configuration; its tag is the hash of both, so that the same name never means two
things. The archive (OCI image layout) is written straight into `ctr images import`.
"""

import contextlib
import dataclasses
import functools
import hashlib
import io
import json
import os
import pathlib
import subprocess
import tarfile
import time
from collections.abc import Mapping, Sequence
from typing import IO, Any, Final

from charon_operator import errors
from charon_operator.testbed import build
from charon_operator.testbed.node import needs

_REGISTRY: Final = "testbed.charon.dev"
_MEDIA: Final = "application/vnd.oci.image"
_NAMESPACE: Final = "k8s.io"
_UNUSED_S: Final = 14 * 24 * 3600.0


@dataclasses.dataclass(frozen=True)
class Link:
    """A symbolic link of an image."""

    target: str


Content = pathlib.Path | bytes | Link


@dataclasses.dataclass(frozen=True)
class Layer:
    """A tar file in the cache and its digest."""

    path: pathlib.Path
    digest: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Image:
    """What a pod can run.

    A pod's `command` takes the place of `entrypoint`, its `args` that of `command`.
    """

    name: str
    layers: Sequence[Layer]
    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    user: str = "65532:65532"

    @functools.cached_property
    def configuration(self) -> bytes:
        return _json(
            {
                "architecture": _architecture(),
                "os": "linux",
                "config": {
                    "Entrypoint": list(self.entrypoint),
                    "Cmd": list(self.command),
                    "Env": [f"{name}={value}" for name, value in self.environment.items()],
                    "User": self.user,
                    "WorkingDir": "/tmp",
                },
                "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in self.layers]},
            }
        )

    @functools.cached_property
    def manifest(self) -> bytes:
        return _json(
            {
                "schemaVersion": 2,
                "mediaType": f"{_MEDIA}.manifest.v1+json",
                "config": _described(self.configuration, f"{_MEDIA}.config.v1+json"),
                "layers": [
                    {
                        "mediaType": f"{_MEDIA}.layer.v1.tar",
                        "digest": layer.digest,
                        "size": layer.path.stat().st_size,
                    }
                    for layer in self.layers
                ],
            }
        )

    @property
    def reference(self) -> str:
        """What a pod writes as its image."""
        return f"{_REGISTRY}/{self.name}:{_sha256(self.configuration)[7:19]}"

    @property
    def digest(self) -> str:
        """What a registry would call this image, whatever its tag."""
        return _sha256(self.manifest)


def layer(files: Mapping[str, Content], cache: pathlib.Path | None = None) -> Layer:
    """The layer with these files, by their absolute paths in the image; made if it is not cached.

    Files keep their time to the second: compiled Python files are told stale by it.
    """
    folder = (cache or build.default_cache()) / "images"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{_key(files)}.tar"
    note = path.with_suffix(".digest")
    if not note.exists():
        _forget_unused(folder)
        draft = path.with_suffix(f".draft{os.getpid()}")
        _write_tar(draft, files)
        draft.replace(path)
        note.write_text(_digest(path))
    for file in (path, note):
        os.utime(file)
    return Layer(path, note.read_text())


def load(image: Image, containerd: str) -> str:
    """Imports an image unless it is there; gives its reference.

    Args:
        image: what to import.
        containerd: the path of its socket.

    Raises:
        errors.TestbedError: ctr refused it.
    """
    ctr = [str(needs.tool("ctr")), "--namespace", _NAMESPACE, "--address", containerd, "images"]
    there = subprocess.run([*ctr, "list", "--quiet"], capture_output=True, text=True, check=False)
    if image.reference not in there.stdout.split():
        with subprocess.Popen(
            [*ctr, "import", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as importing:
            assert importing.stdin is not None
            assert importing.stdout is not None
            _write_archive(image, importing.stdin)
            said = importing.stdout.read().decode(errors="replace").strip()
        if importing.returncode != 0:
            raise errors.TestbedError(f"importing {image.reference} failed: {said}")
    return image.reference


def _forget_unused(folder: pathlib.Path) -> None:
    """Every change of a source makes another layer: those long unused go."""
    for file in folder.iterdir():
        # Another process may do the same at this moment.
        with contextlib.suppress(FileNotFoundError):
            if time.time() - file.stat().st_mtime > _UNUSED_S:
                file.unlink()


def _write_archive(image: Image, out: IO[bytes]) -> None:
    """The OCI image layout, as a stream."""
    entry = {
        **_described(image.manifest, f"{_MEDIA}.manifest.v1+json"),
        "annotations": {"io.containerd.image.name": image.reference},
    }
    try:
        with out, tarfile.open(fileobj=out, mode="w|") as archive:
            _add(archive, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
            _add(archive, "index.json", _json({"schemaVersion": 2, "manifests": [entry]}))
            for blob in (image.manifest, image.configuration):
                _add(archive, _blob(_sha256(blob)), blob)
            for each in image.layers:
                _add(archive, _blob(each.digest), each.path)
    except BrokenPipeError:
        # ctr ended early: it says why.
        return


def _write_tar(path: pathlib.Path, files: Mapping[str, Content]) -> None:
    folders = {parent for place in files for parent in pathlib.PurePosixPath(place).parents}
    with tarfile.open(path, "w") as tar:
        for folder in sorted(folders, key=str):
            _add_folder(tar, str(folder))
        _add_folder(tar, "/tmp", mode=0o1777)
        for place in sorted(files):
            _add(tar, place, files[place])


def _add(tar: tarfile.TarFile, place: str, content: Content) -> None:
    entry = tarfile.TarInfo(place.lstrip("/"))
    entry.mode = 0o644
    match content:
        case Link(target):
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
        case bytes():
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        case _:
            told = content.stat()
            entry.size, entry.mtime = told.st_size, int(told.st_mtime)
            entry.mode = 0o755 if told.st_mode & 0o111 else 0o644
            with content.open("rb") as file:
                tar.addfile(entry, file)


def _add_folder(tar: tarfile.TarFile, place: str, mode: int = 0o755) -> None:
    if place.strip("/"):
        entry = tarfile.TarInfo(place.strip("/"))
        entry.type, entry.mode = tarfile.DIRTYPE, mode
        tar.addfile(entry)


def _key(files: Mapping[str, Content]) -> str:
    digest = hashlib.sha256()
    for place in sorted(files):
        digest.update(f"{place}\0{_identity(files[place])}\n".encode())
    return digest.hexdigest()


def _identity(content: Content) -> str:
    match content:
        case Link(target):
            return f"-> {target}"
        case bytes():
            return _sha256(content)
        case _:
            told = content.stat()
            return f"{_digest(content)} {told.st_mode & 0o111} {int(told.st_mtime)}"


def _digest(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _described(blob: bytes, kind: str) -> dict[str, Any]:
    return {"mediaType": kind, "digest": _sha256(blob), "size": len(blob)}


def _blob(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def _sha256(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _json(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True).encode()


def _architecture() -> str:
    machine = os.uname().machine
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
