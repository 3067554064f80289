"""The code of r_code() run in R: its log-likelihood or coefficients are those of the fit.

For machines with R, glmmTMB, lme4, lmerTest and ordinal; `nox -s slow` runs it where they are.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.results.result import GLMMResult
from interlace_core.messages.errors import NotAvailableError
from interlace_core.registry.registry import default_registry
from reference_fits import load_data

PACKAGES = ("glmmTMB", "lme4", "lmerTest", "ordinal", "jsonlite")


@cache
def has_r() -> bool:
    if shutil.which("Rscript") is None:
        return False
    wanted = ", ".join(f'"{name}"' for name in PACKAGES)
    code = f"stopifnot(all(c({wanted}) %in% rownames(installed.packages())))"
    return subprocess.run(["Rscript", "-e", code], capture_output=True, check=False).returncode == 0


def family(name: str, **options: Any) -> Any:
    return default_registry().family(name)(**options)


@cache
def frame(name: str) -> pd.DataFrame:
    data = load_data("sleepstudy" if name == "sleep" else name)
    match name:
        case "cbpp":
            return data.assign(share=np.clip(data["incidence"] / data["size"], 0.02, 0.98))
        case "sleep":
            return data.assign(
                part=(data["Days"] // 4).astype(int),
                even=2 * (data["Days"] // 4).astype(int), w=1.0 + data["Days"] / 5,
                warm=data["Days"] > 4, slow=data["Reaction"] > 290.0,
                zero_one=(data["Reaction"] > 290.0).astype(int), units=data["Reaction"] / 100.0,
            )  # fmt: skip
        case "wine":
            return data.assign(number=data["rating"].astype(int), w=np.arange(72) / 72)
    return data


HERDS = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
COUNTS = "count ~ mined + (1 | site)"
TICKS = "TICKS ~ YEAR + (1 | BROOD)"
SLEEP = "Reaction ~ Days + (1 | Subject)"
SLOPES = "Reaction ~ Days + (Days | Subject)"
glmer, fit, clmm = interlace.glmer, interlace.fit, interlace.clmm

MODELS: dict[str, tuple[Callable[..., GLMMResult], str, str, Any, dict[str, Any]]] = {
    "trials": (glmer, "incidence / size ~ period + (1 | herd)", "cbpp", "binomial",
               {"weights": "size"}),
    "pairs": (glmer, HERDS, "cbpp", "binomial", {}),
    "text": (glmer, "y ~ trt + (1 | ID)", "bacteria", "binomial", {}),
    "logical": (glmer, "slow ~ w + (1 | Subject)", "sleep", "binomial", {}),
    "probit": (glmer, "zero_one ~ Days + (1 | Subject)", "sleep",
               family("binomial", link="probit"), {}),
    "quadrature": (glmer, "zero_one ~ Days + (1 | Subject)", "sleep", "binomial", {"nAGQ": 5}),
    "joint mode": (glmer, TICKS, "grouseticks", "poisson", {"nAGQ": 0}),
    "offset": (glmer, "TICKS ~ YEAR + offset(log(HEIGHT)) + (1 | BROOD)", "grouseticks", "poisson",
               {}),
    "offset=": (glmer, TICKS, "grouseticks", "poisson", {"offset": "log(HEIGHT)"}),
    "groups=": (glmer, "TICKS ~ YEAR", "grouseticks", "poisson",
                {"groups": ["BROOD", "LOCATION"]}),
    "nested": (glmer, "TICKS ~ YEAR + (1 | LOCATION/BROOD)", "grouseticks", "poisson", {}),
    "offset, quadrature": (glmer, "TICKS ~ YEAR + offset(log(HEIGHT)) + (1 | BROOD)",
                           "grouseticks", "poisson", {"nAGQ": 5}),
    "nb2": (glmer, COUNTS, "Salamanders", "negativebinomial", {}),
    "nb2 fixed": (glmer, COUNTS, "Salamanders", family("negativebinomial", theta=2.0), {}),
    "nb2 dispersion": (glmer, COUNTS, "Salamanders", "negativebinomial",
                       {"dispformula": "~ DOY"}),
    "nb1": (glmer, COUNTS, "Salamanders", "negativebinomial1", {}),
    "nb1 fixed": (glmer, COUNTS, "Salamanders", family("negativebinomial1", alpha=1.5), {}),
    "zip": (glmer, COUNTS, "Salamanders", "poisson", {"ziformula": "~ mined"}),
    "zip, random": (glmer, COUNTS, "Salamanders", "poisson",
                    {"ziformula": "~ mined + (1 | site)"}),
    "zinb": (glmer, COUNTS, "Salamanders", "negativebinomial", {"ziformula": "~ 1"}),
    "zi binomial": (glmer, HERDS, "cbpp", "binomial", {"ziformula": "~ 1"}),
    "hurdle genpois": (glmer, COUNTS, "Salamanders", "truncated_genpois", {"ziformula": "~ 1"}),
    "hurdle": (glmer, COUNTS, "Salamanders", "hurdle_poisson", {}),
    "hurdle nb": (glmer, COUNTS, "Salamanders", "hurdle_negativebinomial", {}),
    "genpois": (glmer, COUNTS, "Salamanders", "genpois", {}),
    "tweedie": (glmer, COUNTS, "Salamanders", "tweedie", {}),
    "gaussian": (glmer, SLOPES, "sleep", "gaussian", {}),
    "gaussian weights": (glmer, SLEEP, "sleep", "gaussian", {"weights": "w"}),
    "gaussian log": (glmer, SLEEP, "sleep", family("gaussian", link="log"), {}),
    "gaussian dispersion": (glmer, SLEEP, "sleep", "gaussian", {"dispformula": "~ Days"}),
    "no groups": (glmer, "Reaction ~ Days", "sleep", "gaussian", {}),
    "gamma": (glmer, "units ~ Days + (1 | Subject)", "sleep", "gamma", {}),
    "gamma fixed": (glmer, SLEEP, "sleep", family("gamma", link="log", shape=80.0), {}),
    "beta": (glmer, "share ~ period + (1 | herd)", "cbpp", "beta", {}),
    "beta fixed": (glmer, "share ~ period + (1 | herd)", "cbpp", family("beta", phi=5.0), {}),
    "betabinomial": (glmer, HERDS, "cbpp", "betabinomial", {}),
    "betabinomial fixed": (glmer, HERDS, "cbpp", family("betabinomial", phi=9.0), {}),
    "cs": (glmer, "Reaction ~ 1 + cs(0 + C(part) | Subject)", "sleep", "gaussian", {}),
    "ar1": (glmer, "Reaction ~ 1 + ar1(0 + C(part) | Subject)", "sleep", "gaussian", {}),
    "ar1 of numbers": (glmer, "Reaction ~ 1 + ar1(0 + part | Subject)", "sleep", "gaussian", {}),
    "toep": (glmer, "Reaction ~ 1 + toep(0 + C(part) | Subject)", "sleep", "gaussian", {}),
    "covariance=": (glmer, SLOPES, "sleep", "gaussian", {"covariance": {"Subject": "diag"}}),
    "||": (glmer, "Reaction ~ Days + (Days || Subject)", "sleep", "gaussian", {}),
    "poly": (glmer, "Reaction ~ poly(Days, 2) + (1 | Subject)", "sleep", "gaussian", {}),
    "scale": (glmer, "Reaction ~ scale(Days) * warm + (1 | Subject)", "sleep", "gaussian", {}),
    "powers": (glmer, "Reaction ~ I(w ** -1) + np.log(w) + (1 | Subject)", "sleep", "gaussian",
               {}),
    "splines": (glmer, "Reaction ~ bs(Days, df=4) + C(part) + (1 | Subject)", "sleep", "gaussian",
                {}),
    "no intercept": (glmer, "Reaction ~ 0 + Days + (0 + Days | Subject)", "sleep", "gaussian", {}),
    "reml": (fit, SLOPES, "sleep", None, {}),
    "ml": (fit, SLOPES, "sleep", None, {"method": "ML"}),
    "precisions": (fit, SLEEP, "sleep", None, {"weights": "w"}),
    "precisions, ml": (fit, SLEEP, "sleep", None, {"weights": "w", "method": "ML"}),
    "reml dispersion": (fit, SLEEP, "sleep", None, {"dispformula": "~ Days"}),
    "reml ||": (fit, "Reaction ~ Days + (Days || Subject)", "sleep", None, {}),
    "reml offset": (fit, SLEEP, "sleep", None, {"offset": "w", "df_method": "kenward-roger"}),
    "clmm": (clmm, "rating ~ temp + contact + (1 | judge)", "wine", None, {}),
    "clmm symmetric": (clmm, "rating ~ temp + contact + (1 | judge)", "wine", None,
                       {"link": "probit", "threshold": "symmetric"}),
    "clmm quadrature": (clmm, "rating ~ temp + contact", "wine", None,
                        {"groups": "judge", "threshold": "equidistant", "nAGQ": 7}),
    "clmm numbers": (clmm, "number ~ temp", "wine", None, {"groups": "judge"}),
    "clmm slopes": (clmm, "rating ~ temp + (temp | judge)", "wine", None, {}),
    "clmm offset": (clmm, "rating ~ temp + offset(w) + (1 | judge)", "wine", None, {}),
    "clmm weights": (clmm, "rating ~ temp + (1 | judge)", "wine", None, {"weights": "w + 1"}),
    "clmm crossed": (clmm, "rating ~ temp + (1 | judge) + (1 | bottle)", "wine", None, {}),
    "clmm cloglog": (clmm, "rating ~ temp + (1 | judge) + (1 | bottle)", "wine", None,
                     {"link": "cloglog"}),
    "clmm loglog": (clmm, "rating ~ temp + (0 + w | judge)", "wine", None, {"link": "loglog"}),
    "clm": (clmm, "rating ~ temp + contact", "wine", None, {"random": [], "link": "cloglog"}),
}  # fmt: skip

CONSTANT_LEFT_OUT = {"quadrature", "offset, quadrature"}
"""By lme4: there the coefficients are compared."""

LOOSE = {"joint mode": 5e-3, "offset, quadrature": 1e-3} | dict.fromkeys(
    ("clmm numbers", "clmm offset"), 1e-4
)
"""lme4's and ordinal's optimizers stop early there."""


def fitted(name: str) -> GLMMResult:
    call, formula, data, chosen, options = MODELS[name]
    more = () if chosen is None else (chosen,)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(formula, frame(data), *more, **options)


def program(folder: Path) -> tuple[str, dict[str, GLMMResult]]:
    """Return R code that runs the code of each model apart, and writes what came of it."""
    lines, fits = ["answers <- list()"], {}
    for name in {each[2] for each in MODELS.values()}:
        frame(name).to_csv(folder / f"{name}.csv", index=False)
    for name, (_, _, data, _, _) in MODELS.items():
        fits[name] = fitted(name)
        logical = [each for each in frame(data) if frame(data)[each].dtype == bool]
        lines += [
            f'answers[["{name}"]] <- tryCatch(local({{',
            f'd <- read.csv("{folder / data}.csv")',
            *(f'd[["{each}"]] <- as.logical(toupper(d[["{each}"]]))' for each in logical),
            fits[name].r_code("d"),
            "b <- if (inherits(fit, c('clm', 'clmm'))) fit$beta else fixef(fit)",
            "if (is.list(b)) b <- b$cond",
            "list(logLik = as.numeric(logLik(fit)), fixef = unname(b))",
            "}), error = function(e) list(error = conditionMessage(e)))",
        ]
    lines.append(
        f'jsonlite::write_json(answers, "{folder / "answers.json"}", auto_unbox = TRUE, '
        'digits = 12, na = "null")'
    )
    return "\n".join(lines), fits


@pytest.mark.slow
def test_code_of_each_model_gives_its_fit_in_r(tmp_path: Path) -> None:
    if not has_r():
        pytest.skip(f"needs R with {', '.join(PACKAGES)}")
    code, fits = program(tmp_path)
    (tmp_path / "code.R").write_text(code)
    run = subprocess.run(
        ["Rscript", str(tmp_path / "code.R")], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    answers = json.loads((tmp_path / "answers.json").read_text())
    wrong = {}
    for name, model in fits.items():
        found = answers[name]
        if "error" in found:
            wrong[name] = found["error"]
        elif name in CONSTANT_LEFT_OUT:
            theirs, ours = np.atleast_1d(found["fixef"]), model.fe_params.to_numpy()
            if not np.allclose(theirs, ours, rtol=LOOSE.get(name, 1e-4), atol=1e-4):
                wrong[name] = f"{theirs} for {ours}"
        elif abs(found["logLik"] - model.llf) > LOOSE.get(name, 1e-5):
            wrong[name] = f"{found['logLik']} for {model.llf}"
    assert not wrong, "\n".join(f"{name}: {what}" for name, what in wrong.items())
    assert len(answers) == len(MODELS)


REFUSED: dict[str, tuple[Callable[..., GLMMResult], str, str, Any, dict[str, Any], str]] = {
    "nb2 by quadrature": (
        glmer, COUNTS, "Salamanders", "negativebinomial", {"nAGQ": 5}, "'negativebinomial'"
    ),
    "zip by quadrature": (
        glmer, COUNTS, "Salamanders", "poisson", {"ziformula": "~ 1", "nAGQ": 5},
        "zeroinflated_poisson",
    ),
    "fixed sigma": (glmer, SLEEP, "sleep", family("gaussian", sigma=30.0), {}, "'sigma'"),
    "homdiag": (
        glmer, "Reaction ~ 1 + homdiag(0 + C(part) | Subject)", "sleep", "gaussian", {},
        "covariance structure 'homdiag'",
    ),
    "times with gaps": (
        glmer, "Reaction ~ 1 + ar1(0 + even | Subject)", "sleep", "gaussian", {}, "gaps"
    ),
    "rows correlated": (
        fit, SLEEP, "sleep", None, {"correlation": "ar1(Days | Subject)"}, "correlation of rows"
    ),
    "known levels": (
        fit, SLEEP, "sleep", None,
        {"known": {"Subject": pd.DataFrame(
            np.eye(18), *[[str(each) for each in load_data("sleepstudy")["Subject"].unique()]] * 2
        )}},
        "known covariance",
    ),
    "priors": (
        glmer, HERDS, "cbpp", "binomial", {"priors": {"fixed": interlace.normal(0.0, 2.5)}},
        "penalised",
    ),
    "held": (glmer, COUNTS, "Salamanders", "negativebinomial", {"hold": {"mined[T.no]": 1.0}},
             r"held \(mined\[T.no\]\)"),
    "held sd": (glmer, HERDS, "cbpp", "binomial", {"hold": {"sd": {"herd": 0.5}}}, "held"),
    "known variances": (
        fit, SLEEP, "sleep", None, {"known_variance": "10 * Days + 500"}, "known 'sigma' of each"
    ),
    "precisions alone": (
        fit, "Reaction ~ Days", "sleep", None, {"weights": "w", "random": []}, r"lm\(\)"
    ),
    "clmm cloglog": (
        clmm, "rating ~ temp + (1 | judge)", "wine", None, {"link": "cloglog"}, "mirror image"
    ),
    "clmm diag": (
        clmm, "rating ~ contact + diag(temp | judge)", "wine", None, {}, "covariance structure"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_r_does_not_fit_is_refused_in_words(name: str) -> None:
    call, formula, data, chosen, options, said = REFUSED[name]
    more = () if chosen is None else (chosen,)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = call(formula, frame(data), *more, **options)
    with pytest.raises(NotAvailableError, match=said):
        model.r_code()
