"""An image with the interpreter that runs this, packages of its environment, and our own.

Reads: the interpreter's folders, the metadata of installed packages, `ldd`. Gives: `python`.
Never: copies what is not asked for: a package brings those it requires and no others.

Three layers, from what changes least to what changes most: interpreter and libraries, packages,
and charon_operator with what the caller adds.
"""

import importlib.metadata
import importlib.util
import pathlib
import py_compile
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import charon_operator
from charon_operator.testbed.images import oci, rootfs

_PACKAGES: Final = "/opt/packages"
_APP: Final = "/opt/app"
_VERSION: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
# Where the interpreter lies in the image, wherever it lies here: it finds its library by itself.
_HOME: Final = "/usr/local"
# What no service needs: tests, windows, installers, a second and third compiled form.
_LEFT_OUT: Final = re.compile(
    r"/(test|tests|idlelib|turtledemo|tkinter|lib2to3|ensurepip|site-packages|dist-packages"
    r"|config-[^/]*)/|/_(test|ctypes_test|xxtest|tkinter)[^/]*\.so$|\.opt-\d\.pyc$"
)


def python(
    packages: Sequence[str] = ("numpy",),
    files: Mapping[str, oci.Content] | None = None,
    *,
    name: str = "python",
    entrypoint: Sequence[str] = ("python3",),
    command: Sequence[str] = (),
    cache: pathlib.Path | None = None,
) -> oci.Image:
    """An image in which `python3 -c "import numpy, charon_operator"` works.

    Args:
        packages: installed here; what they require comes along. The operator itself runs in an
            image with the package "charon-operator".
        files: more files, by their absolute paths in the image, as those of an application.
        name: of the image.
        entrypoint: what it runs unless a pod has a `command`.
        command: the arguments of that unless a pod has `args`.
        cache: where layers are kept; None is the user's cache folder.

    Raises:
        importlib.metadata.PackageNotFoundError: a package is not installed.
    """
    theirs = _packages(packages)
    layers = [
        oci.layer({**rootfs.ground(), **_interpreter(theirs.values())}, cache),
        oci.layer(theirs, cache),
        oci.layer({**_ours(), **(files or {})}, cache),
    ]
    environment = {
        "PATH": f"{_HOME}/bin:/bin",
        "PYTHONPATH": f"{_APP}:{_PACKAGES}",
        "PYTHONUNBUFFERED": "1",
    }
    return oci.Image(
        name=name,
        layers=layers,
        entrypoint=entrypoint,
        command=command,
        environment=environment,
    )


def _interpreter(programs: Iterable[oci.Content]) -> dict[str, oci.Content]:
    """The interpreter, its standard library, and the shared libraries of it and of packages."""
    executable = pathlib.Path(sys.executable).resolve()
    library = pathlib.Path(sysconfig.get_path("stdlib"))
    files: dict[str, oci.Content] = {
        f"{_HOME}/lib/{library.name}/{path.relative_to(library)}": path.resolve()
        for path in library.rglob("*")
        if path.is_file() and not _LEFT_OUT.search(str(path))
    }
    extensions = [p for p in [*files.values(), *programs] if isinstance(p, pathlib.Path)]
    shared = _libraries([executable, *(p for p in extensions if ".so" in p.suffixes)])
    names = ("python", "python3")
    links = {f"{_HOME}/bin/{name}": oci.Link(f"python{_VERSION}") for name in names}
    return {**files, **shared, **links, f"{_HOME}/bin/python{_VERSION}": executable}


def _libraries(programs: Sequence[pathlib.Path]) -> dict[str, oci.Content]:
    """The system's shared libraries that programs are linked to, by their paths."""
    told = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False).stdout
    found = {pathlib.Path(path) for path in re.findall(r"(/\S+) \(0x", told)}
    own = pathlib.Path(sysconfig.get_path("purelib"))
    return {str(path): path.resolve() for path in found if own not in path.parents}


def _packages(names: Sequence[str]) -> dict[str, oci.Content]:
    """The files of packages and of those they require, below one folder of the image."""
    files: dict[str, oci.Content] = {}
    for distribution in _closure(names):
        for file in distribution.files or ():
            source = pathlib.Path(str(file.locate()))
            place = f"{_PACKAGES}/{file}"
            # Scripts lie elsewhere; an editable package is only a pointer into its sources.
            if ".." in file.parts or file.suffix == ".pth" or _LEFT_OUT.search(place):
                continue
            if source.is_file():
                files[place] = source
    return files


def _closure(names: Sequence[str]) -> Iterator[importlib.metadata.Distribution]:
    seen: set[str] = set()
    waiting = [importlib.metadata.distribution(name) for name in names]
    while waiting:
        distribution = waiting.pop()
        if distribution.name in seen:
            continue
        seen.add(distribution.name)
        yield distribution
        waiting += _required(distribution)


def _required(
    distribution: importlib.metadata.Distribution,
) -> Iterator[importlib.metadata.Distribution]:
    for requirement in distribution.requires or ():
        name = re.match(r"[\w.-]+", requirement)
        if name is None or "extra ==" in requirement:
            continue
        try:
            yield importlib.metadata.distribution(name[0])
        except importlib.metadata.PackageNotFoundError:
            # Required on another system or by another Python only.
            continue


def _ours() -> dict[str, oci.Content]:
    """charon_operator as it is in this checkout, compiled so that pods need not do it."""
    root = pathlib.Path(charon_operator.__file__).parent
    files = {
        place: content
        for place, content in rootfs.of_folder(root, f"{_APP}/charon_operator").items()
        if "/__pycache__/" not in place and "/testbed/modules/" not in place
    }
    return {**files, **_compiled(files)}


def _compiled(files: Mapping[str, oci.Content]) -> dict[str, oci.Content]:
    compiled: dict[str, oci.Content] = {}
    with tempfile.TemporaryDirectory() as folder:
        draft = pathlib.Path(folder) / "draft.pyc"
        for place, source in files.items():
            if place.endswith(".py") and isinstance(source, pathlib.Path):
                mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
                py_compile.compile(
                    str(source), str(draft), place, doraise=True, invalidation_mode=mode
                )
                compiled[importlib.util.cache_from_source(place)] = draft.read_bytes()
    return compiled
