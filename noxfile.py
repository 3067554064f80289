"""Every check of the repository, by name: `nox --list` shows them, plain `nox` runs the usual ones.

What follows `--` goes to pytest (`nox -s tests -- -k cbpp`), or to the benchmarks' own options.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "types", "layers", "tests_dist", "tests", "docs", "authors"]

PROJECT = nox.project.load_toml("pyproject.toml")
CORE = "interlace_core"
PLUGINS = sorted(path.parent.as_posix() for path in Path("plugins").glob("*/pyproject.toml"))
EVERYTHING = ("-r", "requirements.txt")
NOT_SLOW = ("-m", "not slow")
# A process per core; each takes tests from the others' ends, so that what a module shares is made
# once in most of them. One thread each, or the processes would wait for each other's.
PARALLEL = ("-n", "auto", "--dist", "worksteal")
ONE_THREAD = {name: "1" for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
# Built or installed by sessions of their own.
NOT_INSTALLED = (
    "--ignore=plugins/interlace-template",
    "--ignore=plugins/interlace-template-covariance",
    "--ignore=tests/install",
)
# Run by sessions of their own.
ELSEWHERE = (
    "--ignore=tests/test_docs.py",
    "--ignore=tests/test_layers.py",
    "--ignore=tests/install",
)


# What `quick` runs: the imports, the pages, the core, and a reference fit of each kind.
QUICK = (
    "tests/test_layers.py",
    "tests/test_rooms.py",
    "tests/test_pages.py",
    "interlace_core/tests",
    *(
        f"tests/test_parity.py::test_laplace_agrees_with_the_reference[{name}]"
        for name in (
            "cbpp_logit_tmb",  # one factor
            "grouseticks_nested_tmb",
            "verbagg_logit_tmb",  # crossed
            "epil_slope_tmb",
            "epil2_nb2_int_tmb",
            "sal_zip_mined_tmb",  # a zero part
            "cbpp_beta_tmb",
            "sleepstudy_gamma_tmb",
            "cs_ar1_pois_tmb",
            "sleepstudy_disp_tmb",  # a formula for the dispersion
        )
    ),
    "tests/test_parity.py::test_quadrature_agrees_with_the_reference[cbpp_logit_agq9_lme4]",
    "tests/test_fit.py::test_fit_agrees_with_lme4[sleepstudy_reml_lme4]",
    "tests/test_fit.py::test_fit_agrees_with_lme4[pastes_ml_nested_lme4]",
    "tests/test_clmm.py::test_clmm_agrees_with_the_reference[wine_logit_clmm]",
)


@nox.session(reuse_venv=True)
def quick(session: nox.Session) -> None:
    """In a minute: style, imports, pages, the core's tests, a reference fit of each kind."""
    session.install(*EVERYTHING, *group("lint"), *group("test"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    run_tests(session, *QUICK, "-q")


@nox.session
def lint(session: nox.Session) -> None:
    """Style: ruff's rules and its format."""
    session.install(*group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Types: mypy, strict, over every distribution."""
    session.install(*EVERYTHING, *group("types"))
    session.run("mypy")


@nox.session
def public_types(session: nox.Session) -> None:
    """Public types: pyright knows the type of every public name, and takes a user's code."""
    session.install(*EVERYTHING, *group("types"), *group("public-types"))
    session.run("python", "tests/typing/public_names.py")
    python = f"{session.virtualenv.location}/{SCRIPTS}/python"
    session.run("pyright", "--pythonpath", python, "tests/typing/user_code.py")


@nox.session
def layers(session: nox.Session) -> None:
    """Layers: which way the imports run, and that the core knows nothing by name."""
    session.install(*EVERYTHING, *group("test"))
    session.run("pytest", "tests/test_layers.py", "tests/test_rooms.py", *session.posargs)


@nox.session
@nox.parametrize("dist", [CORE, *PLUGINS], ids=[Path(each).name for each in [CORE, *PLUGINS]])
def tests_dist(session: nox.Session, dist: str) -> None:
    """Unit tests of one distribution, beside the core and the test tools and nothing else."""
    session.install(*sorted({f"./{CORE}", f"./{dist}"}), *group("test"))
    run_tests(session, f"{dist}/tests", *NOT_SLOW)


@nox.session
def tests(session: nox.Session) -> None:
    """Whole models: everything installed, held against the reference fits."""
    session.install(*EVERYTHING, *group("test"))
    run_tests(session, "tests", *ELSEWHERE, *NOT_SLOW)


@nox.session
def standardised(session: nox.Session) -> None:
    """Invariance: the tests once more, every design in other columns, ordinary or not."""
    session.install(*EVERYTHING, *group("test"))
    run_tests(session, "--standardised", *NOT_SLOW, *NOT_INSTALLED, *ELSEWHERE[:2])


@nox.session
def docs(session: nox.Session) -> None:
    """Docs: every code block of the README and of docs/ runs."""
    session.install(*EVERYTHING, *group("test"))
    run_tests(session, "tests/test_docs.py")


@nox.session
def marginaleffects(session: nox.Session) -> None:
    """Marginal effects: the adapter to a package that wants an older polars and much else."""
    extra = PROJECT["project"]["optional-dependencies"]["marginaleffects"]
    session.install(*EVERYTHING, *extra, *group("test"))
    session.run("pytest", "tests/test_marginaleffects.py", *session.posargs)


@nox.session
def site(session: nox.Session) -> None:
    """Site: the pages as HTML with a reference and a gallery; no warning, no dead link."""
    extra = PROJECT["project"]["optional-dependencies"]["marginaleffects"]
    session.install(*EVERYTHING, *extra, *group("site"))
    out = session.posargs[0] if session.posargs else "docs/_build/html"
    session.run(
        *("sphinx-build", "-b", "html", "-j", "auto", "-W", "--keep-going", "docs", out),
        # pictures come from the backend that notebooks choose by themselves
        env={**ONE_THREAD, "MPLBACKEND": None},
    )
    session.run("python", "tests/site/check_links.py", out)


@nox.session
def slow(session: nox.Session) -> None:
    """Long tests: those marked slow, of all distributions."""
    session.install(*EVERYTHING, *group("test"))
    no_tests_collected = 5
    run_tests(session, "-m", "slow", *NOT_INSTALLED, success_codes=[0, no_tests_collected])


@nox.session(python="3.11", venv_backend="uv")
def lowest(session: nox.Session) -> None:
    """All tests with the lowest versions that the dependencies' bounds allow."""
    session.install("--resolution", "lowest-direct", *EVERYTHING, *group("test"))
    session.run("uv", "pip", "list", external=True)
    run_tests(session, *NOT_SLOW, *NOT_INSTALLED)


@nox.session
def authors(session: nox.Session) -> None:
    """Plugins as installed wheels: the tutorial to the letter, the template, broken ones."""
    # the tests live beside those of the core, whose package pytest has to know
    session.install("build", f"./{CORE}", *group("test"))
    session.run("pytest", "tests/install", *session.posargs)


@nox.session
def sanitize(session: nox.Session) -> None:
    """C code under the sanitizers of addresses and undefined behaviour; needs gcc."""
    flags = "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
    others = [
        f"-e./{path}" for path in (CORE, *PLUGINS) if not path.endswith(("kernels", "template"))
    ]
    session.install("--no-deps", *others, "-e.")
    session.install(
        "formulaic", "narwhals", "pandas", "pluggy", "py-bobyqa", "scipy", *group("test")
    )
    session.install(
        *("--no-deps", "--no-cache", "./plugins/interlace-kernels"),
        env={"CC": "gcc", "CFLAGS": flags, "INTERLACE_KERNELS": "required"},
    )
    library = session.run("gcc", "-print-file-name=libasan.so", external=True, silent=True)
    preload = {"LD_PRELOAD": library.strip(), "ASAN_OPTIONS": "detect_leaks=0"}
    # the baseline: wider registers change nothing about addresses, and compile for minutes
    session.run(
        *("pytest", "-q", "-n", "0", "tests/test_kernels.py", "tests/test_compiled_objective.py"),
        *(
            "tests/test_compiled_plan.py",
            "tests/test_compiled_search.py",
            "tests/test_compiled_linear.py",
            "tests/test_row_sums.py",
            "tests/test_threads_of_kernels.py",
        ),
        *("-k", "not library_is_there and not builds_differ", *session.posargs),
        env={**ONE_THREAD, **preload, "IK_LEVEL": "base"},
    )


@nox.session
def bench(session: nox.Session) -> None:
    """Benchmarks: time, log-likelihood and memory beside the peers; see benchmarks/README.md."""
    session.install(*EVERYTHING, *group("bench"))
    session.run("python", "benchmarks/run.py", *session.posargs)


@nox.session
def odd(session: nox.Session) -> None:
    """Odd values, changed files, odd commands and surroundings: all end in words."""
    session.install(*EVERYTHING, *group("test"))
    session.run("python", "tests/odd/run.py", "--each", "40", *session.posargs)
    session.run("python", "tests/odd/files.py", "--number", "5000")
    session.run("python", "tests/odd/commands.py")
    session.run("python", "tests/odd/surroundings.py")


@nox.session
def mutants(session: nox.Session) -> None:
    """Mutants: each of a list of edits of the numerics, made on a copy, makes a test fail."""
    session.install(*EVERYTHING, *group("test"))
    session.run("python", "tests/mutants/run.py", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Random models of every family against R's stored results; see tests/fuzz/README.md."""
    session.install(*EVERYTHING, *group("test"))
    session.run("python", "tests/fuzz/run.py", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Wheels of all distributions, installed in an empty environment, where they fit cbpp."""
    session.install("build", *PROJECT["build-system"]["requires"])
    with tempfile.TemporaryDirectory() as folder:
        wheels, scripts = Path(folder, "wheels"), Path(folder, "venv", SCRIPTS)
        for each in [CORE, *PLUGINS, "."]:
            session.run("python", "-m", "build", "--no-isolation", "--outdir", str(wheels), each)
        session.run("python", "-m", "venv", str(scripts.parent))
        pip = [str(scripts / "python"), "-m", "pip", "install", "--quiet"]
        session.run(*pip, *map(str, wheels.glob("*.whl")), external=True)
        session.chdir(folder)
        session.run(str(scripts / "interlace"), "demo", external=True)


@nox.session
def release(session: nox.Session) -> None:
    """Release: rehearse one, built, checked, served and installed with each Python that is here."""
    session.install("build[uv]", "twine", "check-wheel-contents", "validate-pyproject[all]")
    session.install("py-rattler-build", "pyyaml")
    with tempfile.TemporaryDirectory() as folder:
        pythons = session.posargs or [each for each in map(shutil.which, PYTHONS) if each]
        session.run("python", "tests/release/rehearse.py", folder, *pythons)


def run_tests(session: nox.Session, *arguments: str, success_codes: Sequence[int] = (0,)) -> None:
    """Run pytest in a process per core; what follows `--` comes last, so that `-n 0` undoes it."""
    session.run(
        *("pytest", *PARALLEL, *arguments, *session.posargs),
        env=ONE_THREAD,
        success_codes=success_codes,
    )


PYTHONS = ("python3.11", "python3.12", "python3.13")
SCRIPTS = "Scripts" if os.name == "nt" else "bin"


def group(name: str) -> tuple[str, ...]:
    """Return the requirements of a dependency group of pyproject.toml."""
    return nox.project.dependency_groups(PROJECT, name)
