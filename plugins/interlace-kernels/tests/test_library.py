"""What is built here, and what is said where nothing is."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import interlace_kernels
from interlace_core.contract import RowKernel
from interlace_kernels import library as libraries
from interlace_kernels import sources
from interlace_kernels.kernels import CompiledKernels
from interlace_kernels.library import library
from interlace_kernels.sources import fingerprint

PACKAGE = Path(interlace_kernels.__file__).parent
SOURCES = Path(__file__).parents[1] / "src" / "interlace_kernels"
built = pytest.mark.skipif(library() is None, reason="nothing was built here")


def test_the_headers_are_shipped():
    names = {path.name for path in Path(interlace_kernels.include()).glob("*.h")}
    assert {"interlace_kernel.h", "interlace_math.h"} <= names


def test_python_and_c_name_the_same_convention():
    header = (PACKAGE / "include" / "interlace_kernel.h").read_text()
    assert f"#define IK_ABI {RowKernel.abi}\n" in header
    assert libraries.ABI == RowKernel.abi


@built
def test_the_library_is_of_that_convention():
    assert library().handle.ik_abi() == RowKernel.abi


@built
@pytest.mark.parametrize("build", sorted(path.stem[-2:] for path in PACKAGE.glob("lib*_v?.*")))
def test_a_build_can_be_chosen(build):
    """Where the processor has its instructions; the baseline runs anywhere."""
    least = {"v3": 3, "v4": 4}[build]
    if library().handle.ik_level() < least:
        pytest.skip(f"this processor cannot run {build}")
    assert build_in_process(build) == f"x86-64-{build}"


@built
def test_the_baseline_can_be_chosen():
    assert build_in_process("base") == "baseline"


@built
def test_a_library_of_other_sources_is_not_called(monkeypatch):
    """As an update of a checkout leaves behind, whose functions want other arguments."""
    made = library().handle.ik_sources()
    assert fingerprint() in (None, made)  # none in a wheel, which has no sources
    monkeypatch.setattr(libraries, "fingerprint", lambda: made ^ 1)
    assert library.__wrapped__() is None


def test_the_fingerprint_changes_with_any_source(tmp_path, monkeypatch):
    for folder in ("c", "include"):
        shutil.copytree(SOURCES / folder, tmp_path / folder)
    monkeypatch.setattr(sources, "FOLDER", tmp_path)
    assert fingerprint() == before()
    with (tmp_path / "c" / "mode.h").open("a") as file:
        file.write("/* another */")
    assert fingerprint() != before()


def before(folder=SOURCES):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "FOLDER", folder)
        return fingerprint()


def build_in_process(build):
    code = "from interlace_kernels.kernels import CompiledKernels as C; print(C().build)"
    variables = {**os.environ, libraries.PINNED: build}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=variables, check=True
    )
    return done.stdout.strip()


def test_without_a_library_nothing_is_offered(monkeypatch):
    monkeypatch.setattr("interlace_kernels.kernels.library", lambda: None)
    kernels = CompiledKernels()
    assert kernels.build == ""
    assert kernels.rows(object(), np.zeros(3)) is None


def test_a_library_of_another_convention_is_not_used(monkeypatch):
    monkeypatch.setattr(libraries, "ABI", 99)
    libraries.library.cache_clear()
    try:
        assert libraries.library() is None
    finally:
        monkeypatch.undo()
        libraries.library.cache_clear()
