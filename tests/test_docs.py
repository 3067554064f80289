"""Every code block of the README and of docs/ runs as a reader would run it.

The ```python blocks of a page run in order, in one namespace and in a temporary directory. Of its
```sh blocks, the lines that call `interlace` run there too. A block that cannot run is marked
```python no-run, and says why on the page. A page may show interlace's own warnings, but a fit that
ends short of its optimum fails, and so does any other warning.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A code block, with the line of the page on which its code begins."""

    language: str
    line: int
    code: str


@pytest.mark.filterwarnings("default::interlace_core.errors.InterlaceWarning")
@pytest.mark.filterwarnings("error::interlace_core.errors.ConvergenceWarning")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    # A module of its own, so that what a page defines can be pickled and inspected.
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.language == "sh":
            run_commands(block.code)
        else:
            # Empty lines before it, so that a traceback shows the line of the page.
            padded = "\n" * (block.line - 1) + block.code
            exec(compile(padded, str(page), "exec"), module.__dict__)


def test_blocks_are_found_with_their_lines():
    text = "A\n\n```python\nx = 1\ny = 2\n```\n\n```text\nno\n```\n```python no-run\n1/0\n```\n"
    assert list(blocks(text)) == [Block("python", 4, "x = 1\ny = 2\n")]


def test_a_command_that_fails_fails_its_page():
    with pytest.raises(subprocess.CalledProcessError):
        run_commands("interlace no-such-command\n")


def blocks(text):
    """Yield the blocks of a page that run."""
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start(2)) + 1
        yield Block(match.group(1), line, match.group(2))


def run_commands(code):
    """Run the lines that call `interlace`; other commands set up machines and are left alone."""
    interlace = Path(sys.executable).with_name("interlace")
    for line in code.splitlines():
        if line.startswith("interlace "):
            subprocess.run([interlace, *shlex.split(line, comments=True)[1:]], check=True)
