"""Another distribution whose package is called interlace is told of, with the way out."""

import shutil
import subprocess
import sys
from pathlib import Path

import interlace

PACKAGE = Path(interlace.__file__).parent


def overlaid_copy(folder, with_its_init=False):
    """Return a folder to import from, in which interlace-lme has been installed over interlace."""
    copy = folder / "interlace"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "profiled_reml.py").write_text("")
    if with_its_init:
        (copy / "__init__.py").write_text("")
    return folder


def run(folder, code):
    return subprocess.run(
        [sys.executable, "-W", "always", "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_nothing_is_said_where_nothing_is_beside():
    assert interlace.beside.overlaid() == ""


def test_import_warns_of_the_other_and_says_the_way_out(tmp_path):
    done = run(overlaid_copy(tmp_path), "import interlace; print(interlace.glmer)")
    assert done.returncode == 0 and "function glmer" in done.stdout
    assert "interlace-lme (files left behind) installed a package of the same name" in done.stderr
    assert "pip uninstall -y interlace-lme interlace" in done.stderr


def test_the_command_tells_where_the_other_was_installed_last(tmp_path):
    folder = overlaid_copy(tmp_path, with_its_init=True)
    code = "import sys; from interlace.cli import main; sys.exit(main(['demo']))"
    done = run(folder, code)
    assert done.returncode == 1
    assert done.stderr.startswith("interlace: interlace-lme (files left behind)")
