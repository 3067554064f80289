"""Compile the library where there is a compiler; without one the wheel is pure, and works.

Environment variables: `CC` names the compiler, `CFLAGS` adds to its flags.
`INTERLACE_KERNELS=required` makes a build without a library fail, as a release must;
`INTERLACE_KERNELS=off` builds none. `INTERLACE_KERNELS_TARGET` is the platform tag of a compiler
for another system, such as `win_amd64`.
"""

from __future__ import annotations

import os
import runpy
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = Path(__file__).parent / "src" / "interlace_kernels"
SOURCES = sorted((PACKAGE / "c").glob("*.c"))
FLAGS = (
    "-O3 -std=c11 -fno-math-errno -fno-trapping-math -fopenmp-simd -shared -fvisibility=hidden -s"
)
MSVC_FLAGS = "/nologo /O2 /LD /std:c11 /openmp:experimental"
LEVELS = {"base": "", "v3": "-march=x86-64-v3", "v4": "-march=x86-64-v4 -mprefer-vector-width=512"}
MSVC_LEVELS = {"base": "", "v3": "/arch:AVX2", "v4": "/arch:AVX512"}
"""Builds of one source, of which one is chosen when it is loaded."""


class KernelsHook(BuildHookInterface):  # type: ignore[type-arg]
    """Puts the libraries into the wheel; beside the sources for an editable installation."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and name the platform in the wheel's tag if that succeeded."""
        wish = os.environ.get("INTERLACE_KERNELS", "")
        folder = PACKAGE if version == "editable" else Path(tempfile.mkdtemp())
        for old in folder.glob("libinterlace_*"):
            old.unlink()
        if wish == "off":
            return
        tag = os.environ.get("INTERLACE_KERNELS_TARGET") or sysconfig.get_platform()
        tag = tag.replace("-", "_").replace(".", "_")
        try:
            made = compile_all(tag, folder)
        except OSError as reason:
            for part in folder.glob("libinterlace_*"):
                part.unlink()
            if wish == "required":
                raise
            self.app.display_warning(f"interlace-kernels goes without its library: {reason}")
            return
        if version != "editable":
            build_data["force_include"] |= {
                str(each): f"interlace_kernels/{each.name}" for each in made
            }
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{tag}"


def fingerprint() -> int:
    """Return what tells these sources from others, as the package finds it when it loads them."""
    names: dict[str, Any] = runpy.run_path(str(PACKAGE / "sources.py"))
    return int(names["fingerprint"]())


def compile_all(tag: str, folder: Path) -> list[Path]:
    """Compile every build into a folder, and return their paths.

    Raises
    ------
    OSError
        If the compiler is not there, or fails.
    """
    levels = list(LEVELS) if tag.endswith(("x86_64", "amd64")) else ["base"]
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda level: compile_one(level, tag, folder), levels))


def compile_one(level: str, tag: str, folder: Path) -> Path:
    """Compile one build and return its path."""
    suffix = "dll" if tag.startswith("win") else "dylib" if tag.startswith("macosx") else "so"
    out = folder / f"libinterlace_{level}.{suffix}"
    line = command(level, tag, out)
    done = subprocess.run(line, capture_output=True, text=True, cwd=folder, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(line)}\n{done.stdout}{done.stderr}")
    return out


def command(level: str, tag: str, out: Path) -> list[str]:
    """Return the compiler's command line for one build."""
    compiler = shlex.split(os.environ.get("CC") or ("cl" if sys.platform == "win32" else "cc"))
    own, sources = shlex.split(os.environ.get("CFLAGS", "")), [str(path) for path in SOURCES]
    own.append(f"-DIK_SOURCES={fingerprint():#x}ull")
    if Path(compiler[0]).stem == "cl":
        flags = [*MSVC_FLAGS.split(), *MSVC_LEVELS[level].split()]
        return [*compiler, *flags, *own, *sources, f"/Fe{out}"]
    level_flags = LEVELS[level]
    if any("zig" in part for part in compiler):  # its clang has names of its own
        level_flags = level_flags.replace("x86-64-", "x86_64_")
    flags = [
        *FLAGS.split(),
        *level_flags.split(),
        *([] if tag.startswith("win") else ["-fPIC", "-pthread"]),
    ]
    return [*compiler, *flags, *own, *sources, "-o", str(out)]
