"""The chart as Helm renders it: for the goldens and for deploy/.

`python -m tests.ship.chart` writes both; tests compare.
"""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "charon-operator"
GOLDEN = Path(__file__).parent / "golden"
DEPLOY = ROOT / "deploy" / "charon-operator.yaml"
HELM = Path(sys.executable).parent / "helm"
RELEASE, NAMESPACE = "charon-operator", "charon-system"
CUSTOM_VALUES = Path(__file__).parent / "custom_values.yaml"
_HEADER = f"""# The chart at its defaults, rendered by `make chart`: change the chart, not this.
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""


def helm(*arguments: str | Path, check: bool = True) -> str:
    """What helm printed; with `check` false its errors too."""
    done = subprocess.run([HELM, *arguments], capture_output=True, text=True, timeout=120)
    if check and done.returncode:
        raise AssertionError(f"helm {arguments[0]}: {done.stderr}")
    return done.stdout if check else done.stdout + done.stderr


def template(*arguments: str | Path, release: str = RELEASE) -> str:
    return helm("template", release, CHART, f"--namespace={NAMESPACE}", *arguments)


def documents(*arguments: str | Path, release: str = RELEASE) -> list[dict]:  # type: ignore[type-arg]
    return [one for one in yaml.safe_load_all(template(*arguments, release=release)) if one]


def by_template(rendered: str) -> dict[str, str]:
    """Rendered text by template, with the version made neutral.

    CRDs and dashboards are compared elsewhere.
    """
    found: dict[str, str] = {}
    for part in rendered.split("---\n# Source: charon-operator/templates/")[1:]:
        name, _, text = part.partition("\n")
        if not name.startswith(("crds/", "dashboards/")):
            found[name] = found.get(name, "") + "---\n" + _neutral(text)
    return found


def goldens() -> dict[Path, str]:
    """What each golden file must hold."""
    sets: dict[str, Sequence[str | Path]] = {
        "default": (),
        "custom": ("--values", CUSTOM_VALUES),
    }
    return {
        GOLDEN / name / path: text
        for name, arguments in sets.items()
        for path, text in by_template(template(*arguments)).items()
    }


def deploy() -> str:
    return _HEADER + template()


def _neutral(text: str) -> str:
    text = re.sub(r"charon-operator-\d+\.\d+\.\d+\S*", "charon-operator-VERSION", text)
    text = re.sub(r'(app.kubernetes.io/version: )"[^"]+"', r'\1"VERSION"', text)
    return re.sub(r"(image: charon-operator:)\S+", r"\1VERSION", text)


if __name__ == "__main__":
    DEPLOY.write_text(deploy(), encoding="utf-8")
    for stale in GOLDEN.rglob("*.yaml"):
        stale.unlink()
    for path, text in goldens().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
