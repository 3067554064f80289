"""What R is asked for each model, and what it answered, stored for use without R."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

from fuzz.models import Model

HERE = Path(__file__).parent
STORED = HERE / "r_results.json"
VERSIONS = """
of <- function(name) paste(name, packageVersion(name))
cat(R.version.string, of("glmmTMB"), of("lme4"), of("ordinal"), sep = "; ")
"""


def request(model: Model) -> dict[str, Any] | None:
    """Return the model as `r_side.R` takes it; None if R cannot fit it."""
    engine = engine_of(model)
    if engine is None:
        return None
    options, factors = model.options, model.data.select_dtypes("category")
    asked: dict[str, Any] = {
        "name": model.name,
        "digest": model.digest(),
        "engine": engine,
        "formula": formula_of(model),
        "family": "gaussian" if model.family == "linear" else model.recipe.r,
        "nAGQ": options.get("nAGQ", 1),
        "data": {name: column.astype(object).tolist() for name, column in model.data.items()},
        "levels": {
            name: list(column.cat.categories) for name, column in factors.items() if name != "y"
        },
    }
    if model.family == "cumulative":
        asked["ordered"] = list(model.data["y"].cat.categories)
    if options.get("method") == "REML":
        asked["REML"] = True
    asked |= {there: options[here] for here, there in RENAMED.items() if here in options}
    if model.recipe.zero and "zi" not in asked:
        asked["zi"] = "~ 1"
    return asked


RENAMED = {"weights": "weights", "dispformula": "disp", "ziformula": "zi"}


def engine_of(model: Model) -> str | None:
    """Return the engine that can fit a model: glmmTMB, lmer, glmer, ordinal, or None."""
    options, special_structure = (
        model.options,
        re.search(r"(cs|ar1|toep|homdiag|diag)\(", model.random),
    )
    if model.recipe.r is None or "approximation" in options:
        return None
    if model.family in SLOW and special_structure:
        return None
    if model.family == "cumulative":
        plain = not special_structure and "||" not in model.random and options.get("nAGQ") != 0
        return "ordinal" if plain else None
    if model.family == "linear":
        if not special_structure:
            return "lmer"
        return None if "weights" in options else "glmmTMB"
    if options.get("nAGQ", 1) != 1:
        able = model.family in ("poisson", "binomial") and "weights" not in options
        return "glmer" if able else None
    return "glmmTMB"


SLOW = ("genpois", "compois", "tweedie")
"""Families that take glmmTMB a minute, or no end, with a covariance structure."""


def formula_of(model: Model) -> str:
    """Return the formula in R's words: effects of equal variance are those of an interaction."""
    return model.formula.replace("**", "^").replace("homdiag(0 + f | g)", "(1 | g:f)")


def ask(models: Iterable[Model]) -> dict[str, dict[str, Any]]:
    """Fit models in R, in one process, and return the results by name."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "models.jsonl"), Path(folder, "results.jsonl")
        asked = [each for model in models if (each := request(model)) is not None]
        source.write_text("".join(json.dumps(each) + "\n" for each in asked))
        subprocess.run(
            ["Rscript", "--vanilla", str(HERE / "r_side.R"), str(source), str(target)], check=True
        )
        found = [json.loads(line) for line in target.read_text().splitlines()]
    return {each["name"]: each for each in found}


def store(results: dict[str, dict[str, Any]]) -> None:
    """Add results to the stored ones, with the versions of R and its packages."""
    versions = subprocess.run(
        ["Rscript", "--vanilla", "-e", VERSIONS], check=True, capture_output=True, text=True
    ).stdout
    kept = {**stored(), **results}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(kept[name])}" for name in sorted(kept))
    STORED.write_text(f'{{"versions": {json.dumps(versions)},\n"results": {{\n{lines}\n}}}}\n')


def stored() -> dict[str, dict[str, Any]]:
    """Return the stored results by name."""
    if not STORED.exists():
        return {}
    results: dict[str, dict[str, Any]] = json.loads(STORED.read_text())["results"]
    return results


NOT_OF_THE_MODEL = {
    "zeroinflated_negativebinomial1-1": (-22.7764, -22.7914),
    "hurdle_negativebinomial-2": (-52.7423, -53.4852),
}
"""Log-likelihoods that glmmTMB 1.1.5 reports, and the model's at its estimates, as found here.

The dispersion is at a limit (1e-12, 1e14 at some rows): differences of log-gammas are rounding.
"""


def loglik(model: Model, result: dict[str, Any] | None) -> float | None:
    """Return R's log-likelihood with all constants; None if it has none of this very model."""
    if result is None or "loglik" not in result or result["digest"] != model.digest():
        return None
    if model.name in NOT_OF_THE_MODEL:
        return None
    value = float(result["loglik"])
    if result["engine"] == "glmer" and model.options.get("nAGQ", 1) > 1:
        value += saturated(model)  # quadrature in lme4 leaves out the saturated model's part
    return value if np.isfinite(value) else None


def saturated(model: Model) -> float:
    """Return the log-likelihood of a Poisson or binomial model with a mean for each row."""
    y = model.data["y"].to_numpy()
    if model.family == "poisson":
        return float(np.sum(special.xlogy(y, y) - y - special.gammaln(y + 1)))
    m = model.data["m"].to_numpy()
    choose = -special.betaln(m - y + 1, y + 1) - np.log(m + 1)
    return float(np.sum(choose + special.xlogy(y, y / m) + special.xlogy(m - y, 1 - y / m)))
