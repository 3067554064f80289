"""A third party's kernel, from the page to a fit, in an environment with built wheels."""

import os
import shutil
import subprocess
import sys

import pytest
from environments import ROOT, Environment, for_users
from test_tutorial import steps

KERNELS = "interlace_kernels"


def kernel_wheel(wheels):
    (found,) = [wheel for wheel in wheels if wheel.name.startswith(KERNELS)]
    return found


def test_the_wheel_names_its_platform_exactly_where_it_was_compiled(wheels):
    """A wheel without library must not look like one with it."""
    name = kernel_wheel(wheels).name
    assert name.endswith("-py3-none-any.whl") == (shutil.which("cc") is None)
    assert "-py3-none-" in name  # none per Python version


@pytest.mark.skipif(shutil.which("cc") is None, reason="the page compiles C")
def test_the_page_works_as_written(tmp_path, wheels):
    environment = Environment.make(tmp_path)
    environment.install(*for_users(wheels), "cffi", "numba", "setuptools")
    page = (ROOT / "docs" / "publish-a-kernel.md").read_text("utf-8")
    ((language, script),) = steps(page)
    assert language == "python"
    printed = environment.python(script)
    assert "checked: every slot is that of derivatives" in printed
    assert "interlace-kernels, " in printed and ": objective" in printed
    assert "True" in printed  # the fit without kernels has the same log-likelihood
    assert "numba agrees" in printed
    assert "compiled kernels: interlace-kernels" in environment.run("interlace", "--version")


def test_without_a_compiler_a_build_is_pure_and_all_works(tmp_path, wheels):
    done = build(tmp_path, CC="/nonexistent")
    assert done.returncode == 0, done.stderr
    (pure,) = tmp_path.glob("*.whl")
    assert pure.name.endswith("-py3-none-any.whl")
    others = [wheel for wheel in for_users(wheels) if not wheel.name.startswith(KERNELS)]
    environment = Environment.make(tmp_path)
    environment.install(*others, pure)
    assert "not built here: NumPy does all" in environment.run("interlace", "--version")
    assert "period[T.3]" in environment.run("interlace", "demo")


def test_a_release_must_have_its_library(tmp_path):
    """Where it is required, a compiler that fails stops the build."""
    done = build(tmp_path, CC="/nonexistent", INTERLACE_KERNELS="required")
    assert done.returncode != 0
    assert not list(tmp_path.glob("*.whl"))


def build(folder, **variables):
    """Build a wheel of the kernels from a copy of their sources into a folder."""
    copy, no_libraries = folder / "copy", shutil.ignore_patterns("libinterlace_*")
    shutil.copytree(ROOT / "plugins" / "interlace-kernels", copy, ignore=no_libraries)
    uv = shutil.which("uv")
    slow = [sys.executable, "-m", "build", "--wheel", "--outdir"]
    command = [uv, "build", "-q", "--wheel", "--out-dir"] if uv else slow
    return subprocess.run(
        [*command, folder, copy], env={**os.environ, **variables}, capture_output=True, check=False
    )
