"""Fit in odd surroundings: environment, configuration, streams, folders, the interpreter's options.

    python tests/odd/surroundings.py

Each must end in the log-likelihood of the plain fit, in another where the surroundings may say so,
or in an error of this library; nothing else may be raised or warned about.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

import interlace
from interlace.config.settings import SETTINGS
from interlace_core.messages.errors import (
    InterlaceError,
    InterlaceWarning,
)
from odd.calls import Door, data
from odd.run import ended, limit_memory

LLF = -92.0262818
"""Of the model below; tests/reference has it."""

VALUES: tuple[str, ...] = (
    "",
    " ",
    "0",
    "1",
    "-1",
    "2.5",
    "nan",
    "inf",
    "1e400",
    "9" * 5000,
    "0x10",
    "1_0",
    "\uff11",
    "true",
    "TRUE",
    "none",
    "null",
    "'x'",
    '"',
    "x",
    "x" * 100_000,
    "\u00e9",
    "\udcff",
    "a\nb = 2",
    "1 # one",
    "[1, 2]",
    "[" * 5000,
    "{a = 1}",
    "{a = {b = {c = 1}}}",
    "{" * 2000,
    "{'family:poisson' = 'nobody'}",
    "{family = {poisson = 'nobody'}}",
    "{max_evaluations = 10}",
    "{max_evaluations = -1}",
    "{max_evaluations = 'many'}",
    "{self = 1}",
    "{'' = 1}",
    "{'a b' = 1}",
    "2000-01-01",
    "lbfgsb",
    "laplace",
    "auto",
    "required",
    "population",
)

NAMES: tuple[str, ...] = (
    *(setting.key.upper() for setting in SETTINGS),
    "",
    "_",
    "__",
    "nagq",
    "UNKNOWN",
    "OPTIMIZER__A",
    "OPTIMIZER_OPTIONS__",
    "OPTIMIZER_OPTIONS__MAX_EVALUATIONS",
    "OPTIMIZER_OPTIONS__A__B__C",
    "OPTIMIZER_OPTIONS____",
    "PREFER__family:poisson",
    "PREFER__family__poisson",
    "FORMULA_LIMITS__POWER",
    "NAGQ__A",
    "\u00e9",
    "\udcff",
)

FILES: tuple[bytes, ...] = (
    b"",
    b"\n",
    b"\x00",
    b"\xff\xfe",
    "nAGQ = 1".encode("utf-16"),
    b"\xef\xbb\xbfnAGQ = 1",
    b"nAGQ = 1\r\nverbose = false\r\n",
    b"nAGQ = 1\rverbose = false\r",
    b"nAGQ",
    b"nAGQ =",
    b"nAGQ = 1\nnAGQ = 2",
    b"[nAGQ]\na = 1",
    b"[[nAGQ]]\n",
    b"nagq = 1",
    b"'' = 1",
    b"[tool.interlace]\nnAGQ = 1",
    b"[optimizer_options]\n",
    b"[optimizer_options.a.b]\nc = 1",
    b"optimizer = []",
    b"optimizer = ''",
    b"optimizer = '\\u0000'",
    b"optimizer = 'bobyqa'",
    b"kernels = 'sometimes'",
    b"threads = 100000000000000000000000",
    b"threads = 1000000",
    b"starts = 10001",
    b"max_seconds = 1e-9",
    b"max_seconds = -inf",
    b"tol_decrement = nan",
    b"[formula_limits]\npower = 0",
    b"[formula_limits]\nbits = 1",
    b"[prefer]\nfamily = 'x'",
    b"[prefer]\n'family:' = 'x'",
    b"[prefer]\n'link:logit' = 'x'",
    b"a = " + b"[" * 20_000,
    b"a = " + b"{b = " * 5_000,
    b"x" * 10**6,
    b"# " + b"x" * 10**6,
    b"nAGQ = 0b1",
    b"nAGQ = " + b"9" * 100_000,
    b"verbose = 1979-05-27T07:32:00Z",
    b"PK\x03\x04" + bytes(100),
)


def plain_fit() -> Any:
    """Return the log-likelihood of a small fit."""
    return interlace.glmer("y ~ x + (1 | g)", data(), "poisson").llf


def within() -> Iterator[tuple[str, str, str]]:
    """Yield a name and how a small fit ended, for each case tried in this process."""
    door, kept = Door("fit", plain_fit, {}), dict(os.environ)
    yield "nothing", *ended(door, {})
    for name in NAMES:
        for value in VALUES:
            try:
                os.environ[f"INTERLACE_{name}"] = value
            except (ValueError, UnicodeError):  # the system has no such variable
                continue
            yield f"INTERLACE_{name}={value[:30]!r}", *ended(door, {})
            del os.environ[f"INTERLACE_{name}"]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CONFIG_HOME"] = folder
        user, here = Path(folder, "interlace"), Path(folder, "here")
        user.mkdir()
        here.mkdir()
        os.chdir(here)
        for content in FILES:
            section = content if b"[tool" in content else b"[tool.interlace]\n" + content
            for path, text in (
                (user / "interlace.toml", content),
                (here / "interlace.toml", content),
                (here / "pyproject.toml", section),
                (here / "pyproject.toml", content),
            ):
                path.write_bytes(text)
                yield f"{path.name} {text[:40]!r}", *ended(door, {})
                path.unlink()
        for name, make in ODD_FILES.items():
            for path in (user / "interlace.toml", here / "interlace.toml", here / "pyproject.toml"):
                make(path)
                yield f"{path.name} {name}", *ended(door, {})
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        os.chdir("/")
    os.environ.clear()
    os.environ.update(kept)


def _unreadable(path: Path) -> None:
    path.write_text("nAGQ = 1")
    path.chmod(0)


ODD_FILES = {
    "a folder": Path.mkdir,
    "a pipe": os.mkfifo,
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "not to be read": _unreadable,
}

BODY = """
import interlace
fit = interlace.glmer(
    "cbind(incidence, size - incidence) ~ period + (1 | herd)",
    interlace.datasets.load("cbpp"), "binomial", nAGQ=1,
)
"""
REPORT = 'import os\nos.write(9, format(fit.llf, ".7f").encode())\n'
SHOW = "fit.summary().to_html(); str(fit.explain()); fit.predict(se=True)\n"
CLOSED = "import sys\nsys.stdout.close()\n"
MISSING = "import sys\nsys.stdout = sys.stderr = sys.stdin = None\n"
GONE = "import os, tempfile\np = tempfile.mkdtemp(); os.chdir(p); os.rmdir(p)\n"
SAVE = "import tempfile\nfit.save(tempfile.mkdtemp() + '/m'); interlace.load\n"
DEEP = "import sys\nsys.setrecursionlimit(150)\n"
ERRSTATE = "import numpy\nnumpy.seterr(all='raise')\n"
PANDAS = (
    "import pandas\npandas.options.mode.copy_on_write = True\n"
    "pandas.options.future.infer_string = True\n"
)
THREAD = (
    "import threading\nfound = []\ndef work():\n    global fit, interlace\n"
    + "".join(f"    {line}\n" for line in BODY.strip().splitlines())
    + "t = threading.Thread(target=work); t.start(); t.join()\n"
)

RUNS: dict[str, tuple[list[str], dict[str, str | None], str]] = {
    "plain": ([], {}, BODY + SHOW),
    "-O": (["-O"], {}, BODY + SHOW),
    "-OO": (["-OO"], {}, BODY + SHOW),
    "-X dev": (["-X", "dev"], {}, BODY + SHOW + SAVE),
    "-W error": (["-W", "error"], {}, BODY + SHOW),
    "-bb": (["-bb"], {}, BODY + SHOW),
    "-B": (["-B"], {}, BODY),
    "-I": (["-I"], {}, BODY),
    "-u": (["-u"], {}, BODY),
    "PYTHONWARNINGS=error": ([], {"PYTHONWARNINGS": "error"}, BODY + SHOW),
    "PYTHONWARNINGS=default": ([], {"PYTHONWARNINGS": "default"}, BODY + SHOW + SAVE),
    "no HOME": ([], {"HOME": None}, BODY),
    "HOME empty": ([], {"HOME": ""}, BODY),
    "HOME relative": ([], {"HOME": "x"}, BODY),
    "HOME no folder": ([], {"HOME": "/dev/null"}, BODY),
    "HOME root": ([], {"HOME": "/"}, BODY),
    "XDG_CONFIG_HOME relative": ([], {"XDG_CONFIG_HOME": "x"}, BODY),
    "XDG_CONFIG_HOME a file": ([], {"XDG_CONFIG_HOME": "/dev/null"}, BODY),
    "XDG_CONFIG_HOME long": ([], {"XDG_CONFIG_HOME": "/" + "x" * 5000}, BODY),
    "no PATH": ([], {"PATH": None}, BODY),
    "LANG=C": ([], {"LANG": "C", "LC_ALL": "C"}, BODY + "print(fit.summary())\n"),
    "LC_ALL=POSIX, no UTF-8": (
        ["-X", "utf8=0"],
        {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"},
        BODY + "print(fit.summary())\nprint(fit.explain())\n",
    ),
    "LC_ALL unknown": ([], {"LC_ALL": "xx_YY.ISO-8859-15"}, BODY),
    "PYTHONIOENCODING=cp037": ([], {"PYTHONIOENCODING": "cp037"}, BODY + "print(fit.summary())\n"),
    "stdout closed": ([], {}, CLOSED + BODY + SHOW),
    "streams missing": ([], {}, MISSING + BODY + SHOW),
    "folder gone": ([], {}, GONE + BODY),
    "no room for caches": (
        [],
        {"TMPDIR": "/dev/null", "XDG_CACHE_HOME": "/dev/null", "MPLCONFIGDIR": "/dev/null"},
        BODY + SHOW,
    ),
    "no room for bytecode": ([], {"PYTHONPYCACHEPREFIX": "/dev/null"}, BODY),
    "little depth": ([], {}, "import interlace, pandas, numpy\n" + DEEP + BODY),
    "numpy raises": ([], {}, ERRSTATE + BODY + SHOW),
    "pandas of tomorrow": (["-W", "ignore"], {}, PANDAS + BODY + SHOW),
    "another thread": ([], {}, THREAD),
    **{
        f"{name}={value}": ([], {name: value}, BODY)
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        for value in ("", "0", "-1", "x", "100000", "1,2")
    },
    **{
        f"threads={value}": ([], {"INTERLACE_THREADS": value}, BODY)
        for value in ("0", "-1", "1.5", "x", "1", "100000", "9" * 40)
    },
    **{
        f"kernels={value}": ([], {"INTERLACE_KERNELS": value}, BODY)
        for value in ("off", "auto", "required", "2", "x")
    },
    "PYTHONHASHSEED": ([], {"PYTHONHASHSEED": "0"}, BODY),
    "PYTHONMALLOC=debug": ([], {"PYTHONMALLOC": "debug"}, BODY),
    "NPY_PROMOTION_STATE": ([], {"NPY_PROMOTION_STATE": "weak"}, BODY),
    "NO_COLOR": ([], {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "x", "LINES": "-1"}, BODY),
    "COLUMNS=1": ([], {"COLUMNS": "1"}, BODY + "str(fit.summary())\n"),
    "TZ": ([], {"TZ": "nowhere"}, BODY + SAVE),
    "MPLBACKEND": ([], {"MPLBACKEND": "nonsense"}, BODY),
}


def started() -> Iterator[tuple[str, str]]:
    """Yield a name and what is wrong, or "", of each fit in a process of its own."""
    base = {key: each for key, each in os.environ.items() if not key.startswith("INTERLACE_")}
    for name, (options, changed, body) in RUNS.items():
        merged = {**base, **changed}
        environ = {key: each for key, each in merged.items() if each is not None}
        with tempfile.TemporaryDirectory() as folder:
            yield name, wrong_with(options, environ, body, folder)


def wrong_with(options: list[str], environ: dict[str, str], body: str, folder: str) -> str:
    """Return what is wrong with a fit in a process of its own, or ""."""
    read, write = os.pipe()
    program = body + REPORT.replace("9", str(write), 1)
    paths = [] if "-I" not in options else [p for p in sys.path if p]
    program = "".join(f"import sys; sys.path.append({p!r})\n" for p in paths) + program
    done = subprocess.run(
        [sys.executable, *options, "-c", program],
        env=environ,
        cwd=folder,
        capture_output=True,
        pass_fds=(write,),
        timeout=600,
    )
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        found = pipe.read().decode()
    said = done.stderr.decode(errors="replace").strip()
    if done.returncode:
        last = said.splitlines()[-1] if said else ""
        name = last.partition(":")[0].rpartition(".")[2]
        ours = {each.__name__ for each in _errors(InterlaceError)}
        return "" if name in ours else f"exit {done.returncode}: {last or found}"
    categories = {each.__name__ for each in _errors(InterlaceWarning)}
    for line in said.splitlines():
        if "Warning: " in line and not any(f"{each}: " in line for each in categories):
            return f"a foreign warning: {line}"
    return "" if found and abs(float(found) - LLF) < 1e-4 else f"logLik {found!r}"


def _errors(kind: type) -> list[type]:
    return [kind, *(each for below in kind.__subclasses__() for each in _errors(below))]


def main() -> int:
    """Run all; return the exit status."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    number, wrong = 0, []
    for name, fault in started():
        number += 1
        if fault:
            wrong.append(f"{name}: {fault}")
    limit_memory()
    for name, how, what in within():
        number += 1
        if how not in ("answer", "refused"):
            wrong.append(f"{name}: {how}: {what}")
    for each in wrong:
        print(each.encode("ascii", "backslashreplace").decode())
    print(f"{number} surroundings: {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
