"""Store what every reference fit and every fit of the docs gives; compare two such stores.

    python benchmarks/compare_fits.py store FILE.json [--only TEXT]
    python benchmarks/compare_fits.py compare BEFORE.json AFTER.json [--coefficients 1e-4]

A store is made in the source tree whose interpreter runs this file. The comparison lists every
difference: log-likelihoods, coefficients in standard errors, relative standard errors, verdicts,
notes and warnings.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np

import interlace
import test_clmm
import test_docs
import test_parity
from reference_fits import fit_ids, load_data, load_fit

Record = dict[str, Any]

TOL_LOGLIK = 1e-6
TOL_COEFFICIENT = 1e-3
"""Of a standard error: what a search may stop short of, at a decrement of 1e-7, is 4.5e-4."""
TOL_STANDARD_ERROR = 1e-3
"""Relative: Hessians are by differences of the gradient."""
REMAINING = re.compile(r"remaining gain [-+.\de]+|gain about [-+.\de]+")
"""What a verdict says of the remaining gain is rounding, and no difference."""


def store(path: Path, only: str) -> None:
    """Fit everything and write the records, one at a time, so that what is done is kept."""
    records: dict[str, Record] = {}
    for name, fit in models():
        if only in name:
            records[name] = record_of(fit)
            print(name, records[name].get("status", records[name].get("error")), flush=True)
    for name, record in documented(only):
        records[name] = record
    path.write_text(json.dumps(records, indent=1))
    print(f"{len(records)} fits in {path}")


def models() -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the reference models: those of glmmTMB, lme4's by quadrature, linear, ordinal."""
    for fit_id in test_parity.LAPLACE:
        yield fit_id, lambda fit_id=fit_id: test_parity.refit(load_fit(fit_id))
    for fit_id in test_parity.QUADRATURE:
        yield fit_id, lambda fit_id=fit_id: _quadrature(load_fit(fit_id))
    for fit_id in test_clmm.FITS:
        yield fit_id, lambda fit_id=fit_id: test_clmm.refit(load_fit(fit_id))
    for fit_id in fit_ids():
        if (reference := load_fit(fit_id))["engine"] == "lme4" and is_linear(reference):
            yield fit_id, lambda reference=reference: _linear(reference)


def is_linear(reference: Record) -> bool:
    """Return whether a reference is a linear mixed model of lme4's."""
    return str(reference["r_call"]).startswith(("lmer(", "lme4::lmer("))


def _quadrature(reference: Record) -> Any:
    return test_parity.refit(reference, nAGQ=reference["nAGQ"])


def _linear(reference: Record) -> Any:
    weights = re.search(r"weights = (\w+)", reference["r_call"])
    return interlace.fit(
        reference["formula"],
        load_data(reference["dataset"]),
        method="REML" if reference.get("REML") else "ML",
        weights=weights.group(1) if weights else None,
    )


def documented(only: str) -> Iterator[tuple[str, Record]]:
    """Run the pages of the docs, and yield a record of every fit that they call for."""
    for page in test_docs.PAGES:
        name = page.relative_to(test_docs.ROOT).as_posix()
        if only in name:
            yield from run_page(page, name)


def run_page(page: Path, name: str) -> list[tuple[str, Record]]:
    """Return the records of the fits of one page, numbered in order."""
    found: list[tuple[str, Record]] = []

    def recorded(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            box: list[Any] = []
            record = record_of(lambda: box.append(function(*args, **options)) or box[0])
            found.append((f"{name}#{len(found)}", record))
            return box[0] if box else function(*args, **options)

        return call

    originals = {each: getattr(interlace, each) for each in ("glmer", "fit", "clmm")}
    module, back = ModuleType("page"), Path.cwd()
    sys.modules["page"] = module
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        os.chdir(folder)
        try:
            for each, function in originals.items():
                setattr(interlace, each, recorded(function))
            for block in test_docs.blocks(page.read_text(encoding="utf-8")):
                if block.language == "python":
                    exec(compile(block.code, str(page), "exec"), module.__dict__)
        except Exception as error:  # the rest of the page needs what failed
            found.append((f"{name}#end", {"error": f"{type(error).__name__}: {error}"}))
        finally:
            os.chdir(back)
            for each, function in originals.items():
                setattr(interlace, each, function)
    print(name, len(found), file=sys.stderr, flush=True)
    return found


def record_of(fit: Callable[[], Any]) -> Record:
    """Return what a fit gives, its warnings included; or the error that it raised."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = fit()
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"}
    verdict = result.fit.verdict
    return {
        "formula": result.formula,
        "loglik": finite(result.llf),
        "status": verdict.status,
        "message": verdict.message,
        "boundary": list(verdict.boundary),
        "notes": list(result.notes),
        "warnings": sorted({f"{w.category.__name__}: {w.message}" for w in caught}),
        "evaluations": result.fit.n_evaluations,
        "names": list(result.psi_names()),
        "estimates": [finite(each) for each in result.fit.psi],
        "errors": [finite(each) for each in standard_errors(result)],
    }


def standard_errors(result: Any) -> np.ndarray:
    """Return the standard errors of all entries of psi, NaN at a bound."""
    with np.errstate(all="ignore"):
        return np.sqrt(np.diagonal(np.asarray(result.fit.vcov, dtype=float)))


def finite(value: Any) -> float | str:
    """Return a number as JSON has it: what is not finite as text."""
    return float(value) if math.isfinite(value) else str(float(value))


def compare(before: Path, after: Path, tol: float) -> int:
    """Print every difference between two stores; return how many fits differ."""
    old, new = (json.loads(path.read_text()) for path in (before, after))
    differing = 0
    for name in [*old, *(each for each in new if each not in old)]:
        if lines := differences(old.get(name), new.get(name), tol):
            differing += 1
            print(f"{name}: {(old.get(name) or new[name]).get('formula', '')}")
            print(*(f"    {line}" for line in lines), sep="\n")
    print(f"{differing} of {len(set(old) | set(new))} fits differ")
    return differing


def differences(old: Record | None, new: Record | None, tol: float) -> list[str]:
    """Return the differences between two records of one fit, in words."""
    if old is None or new is None:
        return ["only in the one store: " + ("after" if old is None else "before")]
    lines = [
        f"{key}: {old.get(key)!r} -> {new.get(key)!r}"
        for key in ("error", "status", "boundary", "notes", "warnings", "names")
        if masked(old.get(key)) != masked(new.get(key))
    ]
    if "error" in old or "error" in new:
        return lines
    a, b = float(old["loglik"]), float(new["loglik"])
    if not abs(a - b) <= TOL_LOGLIK * max(1.0, abs(a) * 1e-3):
        lines.append(f"loglik: {a:.9g} -> {b:.9g} ({b - a:+.2g})")
    if old["names"] == new["names"]:
        lines += differing_estimates(old, new, tol)
    return lines


def differing_estimates(old: Record, new: Record, tol: float) -> list[str]:
    """Return the coefficients that moved by more than `tol` standard errors, and their errors."""
    lines = []
    columns = (old["names"], old["estimates"], new["estimates"], old["errors"], new["errors"])
    for name, *numbers in zip(*columns, strict=True):
        x, y, s, t = map(float, numbers)
        if not math.isfinite(s) or not math.isfinite(t):
            if masked(str(s)) != masked(str(t)) or abs(x - y) > tol * max(1.0, abs(x)):
                lines.append(f"{name}: {x:.6g} +- {s:.4g} -> {y:.6g} +- {t:.4g}")
        elif abs(x - y) > tol * s or abs(t / s - 1.0) > TOL_STANDARD_ERROR:
            lines.append(
                f"{name}: {x:.6g} +- {s:.5g} -> {y:.6g} +- {t:.5g} "
                f"({(y - x) / s:+.1e} se, error {t / s - 1.0:+.1e})"
            )
    return lines


def masked(value: Any) -> Any:
    """Return a text, or each of a list, without what it says of the remaining gain."""
    if isinstance(value, list):
        return [masked(each) for each in value]
    return REMAINING.sub("gain", value) if isinstance(value, str) else value


def main() -> None:
    """Store, or compare, as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    storing = commands.add_parser("store")
    storing.add_argument("file", type=Path)
    storing.add_argument("--only", default="", help="only fits with this in their name")
    comparing = commands.add_parser("compare")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    comparing.add_argument("--coefficients", type=float, default=TOL_COEFFICIENT)
    asked = parser.parse_args()
    if asked.command == "store":
        store(asked.file, asked.only)
    else:
        sys.exit(bool(compare(asked.before, asked.after, asked.coefficients)))


if __name__ == "__main__":
    main()
