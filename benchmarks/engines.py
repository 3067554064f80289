"""The engines that are compared: what each can do, and the command that starts its worker."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from cases import Case

WORKERS = Path(__file__).parent / "workers"


@dataclass(frozen=True)
class Engine:
    """A way to fit models, in a process of its own.

    Attributes
    ----------
    name : str
    worker : str
        File in workers/ that answers its requests.
    features : frozenset of str
        What it does of `Case.features`.
    requirements : tuple of str
        What its environment is made of, which has the name of the first; empty for R's packages,
        and for the interpreter that runs the suite.
    python : str, optional
        An interpreter to be used as it is.
    """

    name: str
    worker: str
    features: frozenset[str]
    requirements: tuple[str, ...] = ()
    python: str | None = None

    def fits(self, case: Case) -> bool:
        """Return whether the engine can fit the case."""
        return case.features <= self.features

    def command(self, environments: Path) -> list[str]:
        """Return the command that starts the worker, its environment made where needed.

        Raises
        ------
        LookupError
            If R or one of its packages is not there.
        subprocess.CalledProcessError
            If the environment cannot be made.
        """
        if self.worker.endswith(".R"):
            return [*r_command(self.name), str(WORKERS / self.worker), self.name]
        python = self.python or sys.executable
        if self.requirements:
            python = environment(environments / self.requirements[0], self.requirements)
        return [python, str(WORKERS / self.worker), self.name]


def r_command(package: str) -> list[str]:
    """Return how R is called, after it has shown that it has the packages."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        raise LookupError("Rscript is not on the path")
    needed = f"quit(status = !all(sapply(c('{package}', 'jsonlite'), requireNamespace)))"
    done = subprocess.run([rscript, "-e", needed], capture_output=True)
    if done.returncode:
        raise LookupError(f"R has no {package} or no jsonlite; install.packages() gets them")
    return [rscript, "--vanilla"]


def environment(folder: Path, requirements: tuple[str, ...]) -> str:
    """Return the interpreter of a virtual environment, which is made once."""
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"making {folder}", file=sys.stderr, flush=True)
        try:
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
            install = [str(python), "-m", "pip", "install", "--quiet", *requirements]
            subprocess.run(install, check=True)
        except subprocess.CalledProcessError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return str(python)


def select(names: list[str], interpreters: list[str]) -> list[Engine]:
    """Return engines by name, all if none is named; `name=python` adds another interlace.

    Raises
    ------
    SystemExit
        If a name is unknown; says what there is.
    """
    others = dict(each.split("=", 1) for each in interpreters)
    extra = [replace(INTERLACE, name=name, python=python) for name, python in others.items()]
    there = {engine.name: engine for engine in (INTERLACE, *extra, *PEERS)}
    if unknown := sorted(set(names) - set(there)):
        raise SystemExit(f"no engine {', '.join(unknown)}; there are: {', '.join(there)}")
    return [engine for name, engine in there.items() if not names or name in names]


GLMMS = ("binomial", "poisson", "nb2", "trials", "bootstrap")
LMMS = ("gaussian", "slopes", "factors")

INTERLACE = Engine(
    "interlace",
    "interlace_worker.py",
    frozenset({"zip", "ordinal", "quadrature", *GLMMS, *LMMS}),
)

# Its slopes are independent of its intercepts, which is another model.
GPBOOST = Engine(
    "gpboost",
    "gpboost_worker.py",
    frozenset({"binomial", "poisson", "nb2", "gaussian", "factors"}),
    ("gpboost", "pandas", "formulaic"),
)

PEERS = (
    Engine(
        "lme4",
        "r_worker.R",
        frozenset({"quadrature", *GLMMS, *LMMS}),
    ),
    Engine(
        "glmmTMB",
        "r_worker.R",
        frozenset({"zip", *GLMMS, *LMMS}),
    ),
    Engine("ordinal", "r_worker.R", frozenset({"ordinal", "factors"})),
    Engine(
        "glmm",
        "glmm_worker.py",
        frozenset({"quadrature", *GLMMS, *LMMS}),
        ("glmm", "pandas"),
    ),
    GPBOOST,
    replace(GPBOOST, name="gpboost-cholesky"),
    Engine(
        "statsmodels",
        "statsmodels_worker.py",
        frozenset({"gaussian", "slopes"}),
        ("statsmodels", "pandas"),
    ),
    Engine(
        "interlace-lme",
        "interlace_lme_worker.py",
        frozenset({"binomial", "poisson", "trials", "quadrature", "slopes", "factors"}),
        ("interlace-lme", "pandas"),
    ),
    Engine(
        "mixedlm",
        "mixedlm_worker.py",
        frozenset({"binomial", "poisson", "trials", *LMMS}),
        ("mixedlm", "pandas"),
    ),
    Engine(
        "lme-python",
        "lme_python_worker.py",
        frozenset({"binomial", "poisson", *LMMS}),
        ("lme-python", "pandas", "pyarrow"),
    ),
)
