"""Does a container keep its GPU when its CPU limit is changed while it runs?

    sudo python3 -m tests.benchmarks.gpu_update --runc /usr/sbin/runc

What the kubelet does for an in-place resize ends in `runc update`. Containers are looked at
before and after it, each by a new process in it that opens the GPU through the CUDA driver:

- `denied`: a container without the devices, to see that they are guarded at all;
- `known`: the devices are in the container's own specification, as CDI puts them there;
- `hidden`: access was granted behind the runtime's back, as the legacy hook of the NVIDIA container
  toolkit does. That hook itself is not run here: the devices are taken out of the state that runc
  keeps of the running container, which leaves runc knowing as little of them.

Needs Linux, root, runc and an NVIDIA GPU with its driver; nothing else. One line of JSON a step.
"""

import argparse
import contextlib
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

_PROBE = """
import ctypes, sys
cuda = ctypes.CDLL("libcuda.so.1")
count, context, address = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
steps = [cuda.cuInit(0), cuda.cuDeviceGetCount(ctypes.byref(count))]
steps += [cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0), cuda.cuCtxSetCurrent(context)]
steps += [cuda.cuMemAlloc_v2(ctypes.byref(address), ctypes.c_size_t(1 << 20))]
print(count.value, steps)
sys.exit(any(steps))
"""
_PERIOD_US = 100_000
_QUOTAS_US = (200_000, 50_000, 400_000)


def devices() -> list[dict[str, Any]]:
    """The GPU's device files, as a specification names them."""
    found = sorted(
        [*pathlib.Path("/dev").glob("nvidia*"), *pathlib.Path("/dev").glob("nvidia-caps/*")]
    )
    files = [path for path in found if path.is_char_device()]
    return [
        {
            "path": str(path),
            "type": "c",
            "major": os.major(path.stat().st_rdev),
            "minor": os.minor(path.stat().st_rdev),
            "fileMode": 0o666,
        }
        for path in files
    ]


def specification(runc: str, name: str, root: str, gpu: list[dict[str, Any]]) -> dict[str, Any]:
    """runc's own default with this machine's files, the GPU's devices, and nothing to do."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([runc, "spec", "--bundle", folder], check=True)
        spec: dict[str, Any] = json.loads((pathlib.Path(folder) / "config.json").read_text())
    spec["process"] |= {"terminal": False, "args": ["/bin/sleep", "600"]}
    spec["process"]["env"] += [f"LD_LIBRARY_PATH={os.environ.get('LD_LIBRARY_PATH', '')}"]
    spec["root"] = {"path": root, "readonly": False}
    spec["linux"]["cgroupsPath"] = f"/{name}"
    spec["linux"]["devices"] = devices()
    allowed = [{"allow": True, "access": "rwm", **_number(one)} for one in gpu]
    spec["linux"]["resources"] = {
        "devices": [{"allow": False, "access": "rwm"}, *allowed],
        "cpu": {"period": _PERIOD_US, "quota": _PERIOD_US},
    }
    return spec


def _number(device: dict[str, Any]) -> dict[str, Any]:
    return {name: device[name] for name in ("type", "major", "minor")}


@contextlib.contextmanager
def container(runc: str, name: str, gpu: list[dict[str, Any]]) -> Iterator[str]:
    """A container that sees this machine's files and its GPU, ended and removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder) / "root"
        root.mkdir()
        subprocess.run(["mount", "--rbind", "--make-rprivate", "/", root], check=True)
        try:
            spec = specification(runc, name, str(root), gpu)
            (pathlib.Path(folder) / "config.json").write_text(json.dumps(spec))
            quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
            subprocess.run([runc, "run", "-d", "--bundle", folder, name], check=True, **quiet)  # type: ignore[call-overload]
            yield name
        finally:
            subprocess.run([runc, "delete", "--force", name], check=False)
            subprocess.run(["umount", "--lazy", "--recursive", root], check=False)


def hide(name: str) -> None:
    """Take the devices out of what runc remembers of a running container."""
    file = pathlib.Path("/run/runc") / name / "state.json"
    state = json.loads(file.read_text())
    rules = state["config"]["cgroups"]["devices"]
    state["config"]["cgroups"]["devices"] = [r for r in rules if r.get("major") not in _majors()]
    state["config"]["devices"] = []
    file.write_text(json.dumps(state))


def _majors() -> set[int]:
    return {one["major"] for one in devices()}


def sees(runc: str, name: str) -> dict[str, Any]:
    """What a new process in the container gets of the GPU."""
    done = subprocess.run(
        [runc, "exec", name, sys.executable, "-c", _PROBE],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return {"gpu": done.returncode == 0, "said": (done.stdout + done.stderr).strip()[-200:]}


def quota(name: str) -> str:
    """The limit in the container's cgroup, as the kernel has it."""
    for path in (f"/sys/fs/cgroup/{name}/cpu.max", f"/sys/fs/cgroup/cpu/{name}/cpu.cfs_quota_us"):
        if os.path.exists(path):
            return pathlib.Path(path).read_text().strip()
    return "unknown"


def tried(runc: str, form: str) -> Iterator[dict[str, Any]]:
    """One container through every limit."""
    granted = [] if form == "denied" else devices()
    with container(runc, f"gpu-{form}-{os.getpid()}", granted) as name:
        yield {"form": form, "step": "start", "limit": quota(name), **sees(runc, name)}
        if form == "hidden":
            hide(name)
            yield {"form": form, "step": "hidden", "limit": quota(name), **sees(runc, name)}
        for wanted_us in _QUOTAS_US:
            began_s = time.monotonic()
            limits = [f"--cpu-period={_PERIOD_US}", f"--cpu-quota={wanted_us}"]
            subprocess.run([runc, "update", *limits, name], check=True)
            took_ms = round(1000 * (time.monotonic() - began_s), 1)
            row = {"form": form, "step": f"update {wanted_us}", "took_ms": took_ms}
            yield {**row, "limit": quota(name), **sees(runc, name)}


def machine(runc: str) -> dict[str, Any]:
    """What the figures were got on."""
    version = subprocess.run([runc, "--version"], capture_output=True, text=True, check=True)
    asked = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    gpu = subprocess.run(asked, capture_output=True, text=True, check=True)
    v2 = pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists()
    return {
        "runc": version.stdout.split("\n")[0],
        "gpu": gpu.stdout.strip(),
        "kernel": platform.release(),
        "cgroup": 2 if v2 else 1,
    }


def say(row: dict[str, Any]) -> None:
    """One line of JSON."""
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Print what was seen; exit code 1 if `known` lost its GPU, or `denied` had one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--runc", default="/usr/sbin/runc", help="the runtime to look at")
    runc = parser.parse_args().runc
    if not devices():
        sys.exit("no /dev/nvidia*: this needs an NVIDIA GPU and its driver")
    say(machine(runc))
    rows = []
    for form in ("denied", "known", "hidden"):
        for row in tried(runc, form):
            say(row)
            rows.append(row)
    guarded = not any(row["gpu"] for row in rows if row["form"] == "denied")
    kept = all(row["gpu"] for row in rows if row["form"] == "known")
    sys.exit(0 if guarded and kept else 1)


if __name__ == "__main__":
    main()
