"""Run the mutants: each edit in turn, on a copy of the repository, must make a test fail.

    python tests/mutants/run.py [--only TEXT] [--list] [--seconds 300]

1. The files that git knows are copied, as they are in the working tree.
2. Each edit is made there, its tests run until one fails, and the file is put back.
3. The tests that failed run on the copy as it is, and pass.

The exit status is 1 if a mutant survived, if the text of one is not found, or if tests ended in
anything but a failure. NumPy does everything there: compiled rows would hide an edit of theirs.
Needs a system that can fork.
"""

from __future__ import annotations

import argparse
import compileall
import importlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from mutants.edits import MUTANTS
from mutants.mutant import ROOT, Mutant, NotFoundError

PASSED, FAILED, NOT_RUN = 0, 1, 99
"""Exit statuses of pytest; others mean that it did not judge. The last is ours."""

IMPORTED_ONCE = (
    "pandas scipy.linalg scipy.optimize scipy.sparse.linalg scipy.stats formulaic polars"
)
"""Of others, and slow to import: each process finds them there."""


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant.

    Attributes
    ----------
    mutant : Mutant
    caught : bool
    by : str
        The test that failed, or why nothing is known.
    seconds : float
    """

    mutant: Mutant
    caught: bool
    by: str
    seconds: float

    def __str__(self) -> str:
        verdict = "caught" if self.caught else "SURVIVED"
        return f"{verdict:9} {self.seconds:6.1f} s  {self.mutant.name}  [{self.by}]"


def copy_of_the_tree(folder: Path) -> Path:
    """Return a copy of the files that git knows, and of new ones that it does not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    for name in filter(None, listed.stdout.split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    return folder


def run_tests(
    tree: Path, tests: Iterable[str], seconds: float, only: str = ""
) -> tuple[int, str, str]:
    """Return pytest's exit status, the first test that failed, and what was printed at the end.

    In a process that is forked when all that is no part of the project has been imported.
    """
    deadline = time.monotonic() + seconds
    with tempfile.TemporaryFile() as printed:
        child = os.fork()
        if not child:
            _be_pytest(tree, [*tests, *(["-k", only] if only else [])], printed.fileno())
        while True:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                break
            if time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return NOT_RUN, "", f"over {seconds:.0f} s"
            time.sleep(0.02)
        printed.seek(0)
        said = printed.read().decode(errors="replace")
    failed = [
        line.split(" ", 1)[1].split(" - ")[0]
        for line in said.splitlines()
        if line.startswith(("FAILED ", "ERROR "))
    ]
    return os.waitstatus_to_exitcode(status), failed[0] if failed else "", said[-2000:]


def _be_pytest(tree: Path, arguments: list[str], output: int) -> NoReturn:
    """Run tests on the copy, whose packages are found first, and end the process."""
    code = NOT_RUN
    try:
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(tree)
        sources = [tree, tree / "interlace_core" / "src", tree / "tests"]
        sys.path[:0] = [str(each) for each in [*sources, *sorted(tree.glob("plugins/*/src"))]]
        # a file compiled before its edit must not stand in for it, nor the other way
        sys.dont_write_bytecode = True
        options = ["-q", "-x", "--tb=line", "-p", "no:cacheprovider", "-p", "mutants.numpy_alone"]
        code = int(pytest.main([*options, *arguments]))
        sys.stdout.flush()
    finally:
        os._exit(code)


def try_mutant(tree: Path, mutant: Mutant, seconds: float) -> Outcome:
    """Return what the tests of a mutant say to it; the file is as before afterwards."""
    path, began = tree / mutant.file, time.perf_counter()
    original, stamp = path.read_bytes(), path.stat()
    try:
        path.write_text(mutant.edited(original.decode()), encoding="utf-8")
        status, by, end = run_tests(tree, mutant.tests, seconds, mutant.only)
    except NotFoundError as error:
        return Outcome(mutant, False, str(error), 0.0)
    finally:
        path.write_bytes(original)
        os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    spent = time.perf_counter() - began
    if status == FAILED:
        return Outcome(mutant, True, by, spent)
    why = "all tests passed" if status == PASSED else f"pytest ended with {status}: {end}"
    return Outcome(mutant, False, why, spent)


def without_an_edit(tree: Path, outcomes: list[Outcome], seconds: float) -> str:
    """Return which test that noticed an edit fails without one too; empty if none does."""
    tests = sorted({each.by for each in outcomes if each.caught and "::" in each.by})
    if not tests:
        return ""
    status, by, end = run_tests(tree, tests, seconds)
    return (
        "" if status == PASSED else f"without an edit {by or 'pytest'} ended with {status}:\n{end}"
    )


def main() -> int:
    """Run all mutants, or those whose name contains a text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    named = "mutants whose file or name contains this text; can be given again"
    parser.add_argument("--only", action="append", help=named)
    parser.add_argument("--list", action="store_true", help="name them and run none")
    parser.add_argument("--seconds", type=float, default=300.0, help="at most, for one mutant")
    chosen = parser.parse_args()
    wanted = chosen.only or [""]
    mutants = [
        each for each in MUTANTS if any(text in f"{each.file} {each.name}" for text in wanted)
    ]
    if chosen.list:
        print("\n".join(each.name for each in mutants))
        return 0
    if not mutants:
        print(f"no mutant has {chosen.only!r} in its name")
        return 1
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    for name in IMPORTED_ONCE.split():
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        tree = copy_of_the_tree(Path(folder))
        compileall.compile_dir(str(tree), quiet=2)
        outcomes = []
        for mutant in mutants:
            outcomes.append(try_mutant(tree, mutant, chosen.seconds))
            print(outcomes[-1], flush=True)
        wrong = without_an_edit(tree, outcomes, 20 * chosen.seconds)
    survived = [each for each in outcomes if not each.caught]
    print(f"{len(outcomes) - len(survived)} mutants caught, {len(survived)} survived")
    for each in survived:
        print(each)
    if wrong:
        print(wrong)
    return int(bool(survived or wrong))


if __name__ == "__main__":
    raise SystemExit(main())
