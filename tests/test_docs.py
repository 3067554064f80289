"""Every code block of the README and of docs/ runs as a reader would run it.

The ```python blocks of a page run in order, in one namespace and in a temporary directory. Of its
```sh blocks, the lines that call `interlace` run there too. A block that cannot run is marked
```python no-run, and says why on the page. A page may show interlace's own warnings, but a fit that
ends short of its optimum fails, and so does any other warning.

A ```text block that follows a block at once shows what it prints: words as they are, numbers to
within two units of the last digit shown (or 1 in 10,000), a line of dots for any lines left out.
One that cannot be the same everywhere (seconds, versions) is marked ```text varies.
"""

import contextlib
import io
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
BLOCK = re.compile(
    r"^```(python|sh)\n(.*?)^```$(?:\n+```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL
)
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w]|\.\d)")
UNITS = 2.0
"""Units of the last digit shown by which a machine's numbers may differ from the page's."""

RELATIVE = 1e-4
"""The same, as a share: standard errors are by differences, and pages show them to 6 digits."""

NEXT_TO_0 = 1e-8
"""Difference that is rounding, whatever digits are shown of it: what a fit has left to gain."""


NEEDS = {"on-a-cluster.md": "interlace_dask"}
"""What pages need that may not be installed."""


class Block(NamedTuple):
    """A code block, with the line of the page on which its code begins, and what it prints."""

    language: str
    line: int
    code: str
    output: str | None = None


@pytest.fixture(autouse=True)
def _figures_are_closed():
    """A reader's process is a page's; ours has the figures of them all."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.mark.filterwarnings("default::interlace_core.messages.errors.InterlaceWarning")
# processes of a pool are forked, of whatever the other pages left running
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.filterwarnings("error::interlace_core.messages.errors.ConvergenceWarning")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_page_runs(page, tmp_path, monkeypatch):
    if page.name in NEEDS:
        pytest.importorskip(NEEDS[page.name])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    # A module of its own, so that what a page defines can be pickled and inspected.
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    for block in blocks(page.read_text(encoding="utf-8")):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            if block.language == "sh":
                print(run_commands(block.code))
            else:
                # Empty lines before it, so that a traceback shows the line of the page.
                padded = "\n" * (block.line - 1) + block.code
                exec(compile(padded, str(page), "exec"), module.__dict__)
        if block.output is not None:
            found = difference(block.output, printed.getvalue())
            assert not found, f"{page.name}, line {block.line}: {found}"


def test_blocks_are_found_with_their_lines():
    text = "A\n\n```python\nx = 1\ny = 2\n```\n\n```text\nno\n```\n```python no-run\n1/0\n```\n"
    assert list(blocks(text)) == [Block("python", 4, "x = 1\ny = 2\n", "no\n")]


@pytest.mark.parametrize(
    ("shown", "printed", "problem"),
    [
        ("a  1.50\n", "a 1.52", ""),
        ("a 1.50\n", "a 1.53", "1.53"),
        ("x 1.00e-4", "x 1.02e-4", ""),
        ("x 1.00e-4", "x 1.03e-4", "1.03e-4"),
        ("left 7.1e-14", "left 1.9e-17", ""),
        ("-3\n...\nend", "-3\n4\n5\nend", ""),
        ("-3\n...\nend", "-3\n4\n5\nENDS", "'end'"),
        ("model2 0.5", "model3 0.5", "model3"),
        ("one\ntwo", "one", "'two'"),
        ("one", "one\ntwo", "'two'"),
        ("NaN 2", "nan 2", "nan"),
    ],
)
def test_shown_output_is_compared_with_what_is_printed(shown, printed, problem):
    found = difference(shown, printed)
    assert problem in found
    assert bool(found) == bool(problem)


def test_a_command_that_fails_fails_its_page():
    with pytest.raises(subprocess.CalledProcessError):
        run_commands("interlace no-such-command\n")


def blocks(text):
    """Yield the blocks of a page that run."""
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start(2)) + 1
        yield Block(match.group(1), line, match.group(2), match.group(3))


def difference(shown, printed):
    """Return the first line of the page that was not printed, and what was; empty if none."""
    left = [line.split() for line in printed.splitlines() if line.strip()]
    skipping = False
    for line in (each.strip() for each in shown.splitlines() if each.strip()):
        if line == "...":
            skipping = True
            continue
        while skipping and left and not same(line.split(), left[0]):
            left.pop(0)
        skipping = False
        if not left or not same(line.split(), left[0]):
            return (
                f"shows {line!r}, but {' '.join(left[0]) if left else 'nothing more'!r} is printed"
            )
        left.pop(0)
    return f"{' '.join(left[0])!r} is printed and not shown" if left and not skipping else ""


def same(shown, printed):
    """Return whether two lines have the same words, and numbers as near as the digits tell."""
    return len(shown) == len(printed) and all(map(same_word, shown, printed))


def same_word(shown, printed):
    """Return whether two words are the same but for numbers that are near enough."""
    if NUMBER.sub("#", shown) != NUMBER.sub("#", printed):
        return False
    pairs = zip(NUMBER.findall(shown), NUMBER.findall(printed), strict=True)
    return all(near(a, float(a), float(b)) for a, b in pairs)


def near(shown, a, b):
    """Return whether a number, and how it is shown, is near enough to another."""
    return abs(a - b) <= max(UNITS * unit(shown) * (1 + 1e-9), RELATIVE * abs(a), NEXT_TO_0)


def unit(number):
    """Return one unit of the last digit of a number as it is written."""
    digits, _, exponent = number.partition("e")
    return 10.0 ** (int(exponent or 0) - len(digits.partition(".")[2]))


def run_commands(code):
    """Run the lines that call `interlace`, and return what they print.

    Other commands set up machines and are left alone.
    """
    interlace, printed = Path(sys.executable).with_name("interlace"), ""
    for line in code.splitlines():
        if line.startswith("interlace "):
            command = [interlace, *shlex.split(line, comments=True)[1:]]
            printed += subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout
    return printed
