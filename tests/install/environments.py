"""Empty environments, wheels of this repository, and small distributions made by hand."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))
FOLDERS = (ROOT / "interlace_core", *PLUGINS, ROOT)
NOT_FOR_USERS = "interlace_template"


@dataclass(frozen=True)
class Environment:
    """A virtual environment with a working folder of its own.

    Attributes
    ----------
    scripts, folder : Path
        Where its commands are, and where they run.
    """

    scripts: Path
    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Environment:
        """Return an environment with nothing but pip."""
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        (folder / "work").mkdir()
        return cls(folder / "venv" / ("Scripts" if os.name == "nt" else "bin"), folder / "work")

    def install(self, *what: object) -> None:
        """Install by uv where there is one (it keeps a cache of unpacked wheels), else by pip."""
        uv = shutil.which("uv")
        python = str(self.scripts / "python")
        slow = [python, "-m", "pip", "install", "-q"]
        pip = [uv, "pip", "install", "-q", "--python", python] if uv else slow
        subprocess.run([*pip, *map(str, what)], check=True, cwd=self.folder)

    def run(self, *command: str, script: str | None = None, **variables: str) -> str:
        """Return what a command prints, warnings included; it must succeed."""
        done = subprocess.run(
            command, input=script, text=True, cwd=self.folder, env=self._variables(variables),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
        return done.stdout

    def python(self, script: str, **variables: str) -> str:
        """Return what a script prints."""
        return self.run(str(self.scripts / "python"), "-", script=script, **variables)

    def _variables(self, extra: dict[str, str]) -> dict[str, str]:
        """Return the environment variables: its own commands first, nothing of ours."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "INTERLACE"))}
        path = os.pathsep.join([str(self.scripts), kept.get("PATH", "")])
        own = {
            "PATH": path,
            "VIRTUAL_ENV": str(self.scripts.parent),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            # a user's own configuration must not leak in
            "XDG_CONFIG_HOME": str(self.folder / "no-config"),
        }
        return {**kept, **own, **extra}


def build_wheels(folder: Path) -> list[Path]:
    """Return the wheels of all distributions of the repository."""
    uv = shutil.which("uv")
    slow = [sys.executable, "-m", "build", "--wheel", "--outdir"]
    build = [uv, "build", "-q", "--wheel", "--out-dir"] if uv else slow
    for each in FOLDERS:
        subprocess.run([*build, folder, each], check=True)
    return sorted(folder.glob("*.whl"))


def for_users(wheels: list[Path]) -> list[Path]:
    """Return the wheels that `pip install interlace` would bring."""
    return [wheel for wheel in wheels if not wheel.name.startswith(NOT_FOR_USERS)]


def make_wheel(
    folder: Path, distribution: str, code: str, *, entry: str = "main", version: str = "1.0"
) -> Path:
    """Return the wheel of a distribution with one module and an entry point in our group."""
    module = distribution.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    files = {
        f"{module}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[interlace]\n{entry} = {module}\n",
    }
    record = [f"{name},{_digest(text)},{len(text.encode())}" for name, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""])
    wheel = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return wheel


def _digest(text: str) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
    return "sha256=" + digest.rstrip(b"=").decode()
