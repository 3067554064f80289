"""Loops that are meant to be vectorised are: at one conditional call a compiler gives up."""

import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

# a wheel has no sources
C = Path(__file__).parents[1] / "src" / "interlace_kernels" / "c"
FLAGS = "-O3 -std=c11 -march=x86-64-v3 -fno-math-errno -fno-trapping-math -fopenmp-simd -fPIC"
LOOP = re.compile(r"\bIK_SIMD(_SUM\([\w, ]+\))? for")
REPORT = re.compile(r"^(\S+?):(\d+):\d+: optimized: +loop vectorized", re.MULTILINE)
INSTANCES = re.compile(r"^(FEW|MANY|BETA|CUMULATIVE)\(")
"""Macros that are functions with such a loop in them: it is reported where they are used."""


def gcc():
    """Return gcc on a machine of the architecture above, else None."""
    found = shutil.which("gcc")
    if found is None:
        return None
    version = subprocess.run([found, "-v"], capture_output=True, text=True, check=False)
    machine = subprocess.run([found, "-dumpmachine"], capture_output=True, text=True, check=False)
    is_gcc = "gcc version" in version.stderr and "x86_64" in machine.stdout
    return found if is_gcc else None


def meant(source):
    """Return the lines of a source with a loop that is meant to be vectorised."""
    lines = source.read_text().split("\n")
    found = set()
    for number, line in enumerate(lines, start=1):
        in_macro = line.rstrip().endswith("\\")
        if (
            re.search(r"\bIK_SIMD(_SUM\([\w, ]+\))? for", line) and not in_macro
        ) or INSTANCES.match(line):
            found.add(number)
    return found


def vectorised(source, folder, compiler):
    """Return (file, line) of each loop that gcc reports as vectorised, headers included."""
    out = folder / f"{source.stem}.o"
    done = subprocess.run(
        [compiler, *FLAGS.split(), "-fopt-info-vec", "-c", source, "-o", out],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {(Path(name).name, int(line)) for name, line in REPORT.findall(done.stderr)}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """What is vectorised in all sources together."""
    if gcc() is None:
        pytest.skip("gcc says which loops it vectorised")
    folder = tmp_path_factory.mktemp("objects")
    with ThreadPoolExecutor() as pool:
        found = pool.map(lambda source: vectorised(source, folder, gcc()), sorted(C.glob("*.c")))
        return set().union(*found)


@pytest.mark.parametrize("source", sorted(C.glob("*.[ch]")), ids=lambda path: path.name)
def test_loops_are_vectorised(source, report):
    got = {line for name, line in report if name == source.name}
    # a loop is reported at its own line, which may be the one after the pragma's
    missing = {line for line in meant(source) if not got & {line, line + 1, line + 2}}
    assert not missing, f"{source.name}: not vectorised at line(s) {sorted(missing)}"


def test_there_are_such_loops():
    assert sum(len(meant(source)) for source in C.glob("*.[ch]")) >= 42


@pytest.mark.skipif(gcc() is None, reason="gcc says which loops it vectorised")
def test_a_loop_that_calls_is_found_out(tmp_path):
    source = tmp_path / "faulty.c"
    source.write_text(
        '#include "include/interlace_math.h"\ndouble other(double);\n'
        "void f(double *x, int n)\n{\n"
        "    IK_SIMD for (int i = 0; i < n; i++) x[i] = x[i] > 0 ? ik_exp(x[i]) : other(x[i]);\n}\n"
    )
    (tmp_path / "include").symlink_to(C.parent / "include")
    assert meant(source) == {5}
    assert vectorised(source, tmp_path, gcc()) == set()
