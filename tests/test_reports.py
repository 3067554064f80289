"""Tables, LaTeX, words and R code of fitted models."""

from __future__ import annotations

import re
import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace import datasets
from interlace.reporting.latex import escape, tabular
from interlace.results.result import GLMMResult
from interlace_core.messages.errors import DataError, NotAvailableError, OptionError
from interlace_core.registry.registry import default_registry
from reference_fits import load_data, load_fit


def family(name: str, **options: float) -> object:
    return default_registry().family(name)(**options)


@cache
def cbpp() -> GLMMResult:
    return interlace.glmer(
        "incidence / size ~ period", datasets.load("cbpp"), "binomial", groups="herd",
        weights="size",
    )  # fmt: skip


@cache
def sleepstudy() -> GLMMResult:
    return interlace.glmer(
        "Reaction ~ Days + (Days | Subject)", datasets.load("sleepstudy"), "gaussian"
    )


@cache
def salamanders() -> GLMMResult:
    return interlace.glmer(
        "count ~ mined + (1 | site)", datasets.load("Salamanders"), "negativebinomial",
        ziformula="~ mined",
    )  # fmt: skip


def test_tidy_agrees_with_the_reference_fit_and_has_brooms_columns() -> None:
    table, fit = cbpp().tidy(conf_int=True), load_fit("cbpp_logit_tmb")
    fixed = table[table["effect"] == "fixed"]
    assert list(table.columns) == [
        "effect", "component", "group", "term", "estimate", "std.error", "statistic", "p.value",
        "conf.low", "conf.high",
    ]  # fmt: skip
    # The engine's optimiser stops within 1e-5 of the optimum; its Hessian is by differences.
    np.testing.assert_allclose(fixed["estimate"], list(fit["fixef"].values()), atol=1e-5)
    np.testing.assert_allclose(fixed["std.error"], list(fit["se"].values()), rtol=5e-4)
    sd = table.loc[table["term"] == "sd__(Intercept)", "estimate"].item()
    assert sd == pytest.approx(fit["varcor"]["herd"]["sd"][0], rel=1e-4)


def test_tidy_exponentiates_fixed_effects_alone() -> None:
    plain, ratios = (cbpp().tidy(conf_int=True, exponentiate=flag) for flag in (False, True))
    fixed = plain["effect"] == "fixed"
    for column in ("estimate", "conf.low", "conf.high"):
        np.testing.assert_allclose(ratios.loc[fixed, column], np.exp(plain.loc[fixed, column]))
    np.testing.assert_allclose(
        ratios.loc[fixed, "std.error"], plain.loc[fixed, "std.error"] * ratios["estimate"][fixed]
    )
    pd.testing.assert_frame_equal(plain[~fixed], ratios[~fixed])
    pd.testing.assert_series_equal(plain["p.value"], ratios["p.value"])


def test_tidy_names_components_correlations_and_levels() -> None:
    zero = salamanders().tidy(effects=["fixed", "ran_pars", "family"])
    assert set(zero["component"]) == {"cond", "disp", "zi"}
    (theta,) = zero.loc[zero["effect"] == "family", "estimate"]
    assert theta == salamanders().family_params.loc["theta", "value"]
    assert set(salamanders().tidy()["effect"]) == {"fixed", "ran_pars"}
    pars = sleepstudy().tidy(effects="ran_pars").set_index("term")["estimate"]
    covariance = sleepstudy().variance_components["Subject"]
    correlation = covariance.iloc[0, 1] / np.sqrt(covariance.iloc[0, 0] * covariance.iloc[1, 1])
    assert pars["cor__(Intercept).Days"] == pytest.approx(correlation)
    values = sleepstudy().tidy(effects="ran_vals")
    days = values[values["term"] == "Days"].set_index("level")["estimate"]
    expected = sleepstudy().random_effects["Subject"]["Days"]
    np.testing.assert_allclose(days.loc[expected.index].to_numpy(), expected)


def balanced() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(12), 6)
    return pd.DataFrame({"y": 5.0 + rng.normal(size=12)[g] + rng.normal(size=72), "g": g})


def test_tidy_has_the_closed_form_error_of_a_balanced_layouts_standard_deviation() -> None:
    """The restricted estimates are those of the analysis of variance, and so are their errors."""
    data, k, m = balanced(), 12, 6
    means = data.groupby("g")["y"].mean()
    between = m * means.var(ddof=1)
    within = np.square(data["y"] - means[data["g"]].to_numpy()).sum() / (k * (m - 1))
    sd = np.sqrt((between - within) / m)
    variance = 2.0 / m**2 * (between**2 / (k - 1) + within**2 / (k * (m - 1)))
    table = interlace.fit("y ~ 1 + (1 | g)", data).tidy(conf_int=True).set_index("term")
    row = table.loc["sd__(Intercept)"]
    assert row["estimate"] == pytest.approx(sd, rel=1e-5)
    assert row["std.error"] == pytest.approx(np.sqrt(variance) / (2.0 * sd), rel=1e-4)
    ratio = np.exp(1.959964 * row["std.error"] / sd)
    assert row["conf.low"] == pytest.approx(sd / ratio, rel=1e-4)
    assert row["conf.high"] == pytest.approx(sd * ratio, rel=1e-4)


def test_tidy_has_the_limits_of_confint_and_of_the_t_tests() -> None:
    table = sleepstudy().tidy(conf_int=True).set_index("term")
    named = sleepstudy().confint(["sd", "correlation"])
    pairs = ["sd__(Intercept)", "sd__Days", "cor__(Intercept).Days"]
    np.testing.assert_allclose(
        table.loc[pairs, ["conf.low", "conf.high"]], named[["lower", "upper"]], rtol=1e-10
    )
    linear = interlace.fit("Reaction ~ Days + (Days | Subject)", datasets.load("sleepstudy"))
    found = linear.tidy(conf_int=True, level=0.9).iloc[:2][["conf.low", "conf.high"]]
    np.testing.assert_allclose(found, linear.conf_int(0.9), rtol=1e-10)


def test_tidy_of_a_result_without_data_keeps_the_errors() -> None:
    whole, small = sleepstudy(), sleepstudy().without_training()
    pd.testing.assert_frame_equal(whole.tidy(conf_int=True), small.tidy(conf_int=True))


def test_tidy_has_no_error_at_a_boundary() -> None:
    data = balanced().assign(y=lambda d: np.tile(np.arange(6.0), 12))
    fitted = interlace.fit("y ~ 1 + (1 | g)", data)
    assert fitted.is_singular
    row = fitted.tidy(conf_int=True).set_index("term").loc["sd__(Intercept)"]
    assert row[["std.error", "conf.low", "conf.high"]].isna().all()


def test_tidy_refuses_unknown_effects_and_levels() -> None:
    with pytest.raises(OptionError, match="'ran_pars'"):
        cbpp().tidy(effects="random")
    with pytest.raises(OptionError, match="level"):
        cbpp().tidy(conf_int=True, level=95)


def test_glance_is_one_row_of_the_fits_numbers() -> None:
    row = cbpp().glance().iloc[0]
    fit = load_fit("cbpp_logit_tmb")
    assert row["logLik"] == pytest.approx(fit["logLik"], abs=1e-6)
    assert row["AIC"] == pytest.approx(fit["AIC"], abs=1e-5)
    assert (row["nobs"], row["df"], row["df.residual"]) == (56, 5, 51)
    assert sleepstudy().glance()["sigma"].item() == pytest.approx(np.sqrt(sleepstudy().scale))


def test_augment_lines_up_with_the_rows_that_were_used() -> None:
    data = datasets.load("sleepstudy").set_index(np.arange(1000, 1180))
    data.loc[[1003, 1100], "Days"] = np.nan
    model = interlace.glmer("Reaction ~ Days + (1 | Subject)", data, "gaussian")
    table = model.augment(data)
    assert len(table) == 178 and 1003 not in table.index
    np.testing.assert_allclose(table["Reaction"] - table[".fitted"], table[".resid"])
    fixed = model.fe_params["Intercept"] + model.fe_params["Days"] * table["Days"]
    np.testing.assert_allclose(table[".fixed"], fixed)
    np.testing.assert_allclose(model.augment()[".observed"], table["Reaction"])
    with pytest.raises(DataError, match="180 rows"):
        model.augment(data.head(10))
    new = model.augment(newdata=data.head(3))
    np.testing.assert_allclose(new[".fitted"], table[".fitted"].head(3))
    assert ".resid" not in new


def test_augment_takes_the_link_scale_and_other_frames() -> None:
    import polars as pl

    model, data = cbpp(), datasets.load("cbpp")
    table = model.augment(pl.from_pandas(data))
    np.testing.assert_allclose(table[".fitted"], model.predict(type="link"))
    table = model.augment(data, type="response")
    np.testing.assert_allclose(table[".fitted"], model.predict())
    with pytest.raises(OptionError, match="'response', 'link'"):
        model.augment(type="mean")


def test_augment_has_predictors_offsets_weights_and_the_residuals_asked_for() -> None:
    data = datasets.load("grouseticks").assign(known=0.1, w=2.0)
    model = interlace.glmer(
        "TICKS ~ YEAR + (1 | BROOD)", data, "poisson", offset="known", weights="w"
    )
    table = model.augment(data, residuals="deviance", se_fit=True)
    np.testing.assert_allclose(table[".mu"], np.exp(table[".eta"]))
    np.testing.assert_allclose(table[".eta"], table[".fitted"])
    np.testing.assert_allclose(table[".resid"], model.residuals("deviance"))
    np.testing.assert_allclose(table[".se.fit"], model.predict(type="link", se=True)["se"])
    assert (table[".offset"] == 0.1).all() and (table[".weights"] == 2.0).all()
    assert list(model.augment(newdata=data.head(2), se_fit=True).columns[-3:]) == [
        ".fitted", ".fixed", ".se.fit",
    ]  # fmt: skip
    assert ".weights" not in sleepstudy().augment()
    assert ".offset" not in sleepstudy().without_training().augment()
    with pytest.raises(OptionError, match="'pearson'"):
        model.augment(residuals="studentised")


def test_latex_escapes_what_latex_reads() -> None:
    assert escape("50% of a_b & {c} ^ ~ \\ | # $") == (
        r"50\% of a\_b \& \{c\} \textasciicircum{} $\sim$ \textbackslash{} "
        r"\textbar{} \# \$"
    )
    assert tabular([["a", "-1.5"]], columns="lr").count(r"a & $-$1.5 \\") == 1


def test_summary_gives_the_same_cells_in_text_html_and_latex() -> None:
    summary = salamanders().summary()
    text, html, latex = str(summary), summary.to_html(), summary.to_latex()
    for cell in re.findall(r"\d+\.\d{4,}", text):
        assert cell in html and cell in latex
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == html.count("<table>")
    assert r"mined[T.no]" in latex and r"zeroinflated\_negativebinomial" in latex


def test_summary_shows_what_is_asked_for() -> None:
    summary = cbpp().summary(digits=3, level=0.9, exponentiate=True, show="fixed")
    lines = str(summary).splitlines()
    assert lines[0] == "Fixed effects (exp of logit scale, Wald z tests)"
    assert lines[1].split()[:6] == ["odds", "ratio", "std.", "error", "5%", "95%"]
    tidy = cbpp().tidy(effects="fixed", conf_int=True, level=0.9, exponentiate=True)
    wanted = tidy[["estimate", "std.error", "conf.low", "conf.high"]].to_numpy()
    found = [[float(cell) for cell in line.split()[1:5]] for line in lines[2:]]
    np.testing.assert_allclose(found, wanted, atol=5.1e-4)
    assert summary.to_html() == cbpp().summary().to_html(
        digits=3, level=0.9, exponentiate=True, show=["fixed"]
    )
    plain = str(sleepstudy().summary(exponentiate=True, show=("fixed",), digits=1))
    assert "exp" not in plain and "251.4" in plain  # differences have no exponentials


def test_summary_of_a_normal_model_has_the_residual_row() -> None:
    (row,) = [line for line in str(sleepstudy().summary()).splitlines() if "Residual" in line]
    sigma = np.sqrt(sleepstudy().scale)
    np.testing.assert_allclose([float(each) for each in row.split()[1:]], [sigma**2, sigma], 1e-4)


def test_captions_make_latex_that_floats_and_stand_above_html() -> None:
    latex = cbpp().summary().to_latex(caption="50% of herds", label="tab:herds", digits=2)
    assert latex.startswith("\\begin{table}\n\\centering\n\\caption{50\\% of herds}")
    assert "\\label{tab:herds}" in latex and latex.endswith("\\end{table}\n")
    assert "<p><strong>A &lt; B</strong></p>" in cbpp().summary().to_html(caption="A < B")


def test_summary_refuses_what_it_has_not() -> None:
    with pytest.raises(OptionError, match="'random', 'fixed'.*got 'fixd'.*'fixed'"):
        cbpp().summary(show=["fixd"])
    with pytest.raises(OptionError, match="digits"):
        cbpp().summary(digits=-1)
    with pytest.raises(OptionError, match="level"):
        cbpp().summary(level=95)
    with pytest.raises(OptionError, match="got 'dgits'.*'digits'"):
        cbpp().summary().to_latex(dgits=2)


def test_explanation_of_a_linear_model_has_its_own_intervals_and_method() -> None:
    model = interlace.fit("Reaction ~ Days + (Days | Subject)", datasets.load("sleepstudy"))
    words = str(model.explain())
    low, high = model.conf_int().loc["Days"]
    assert f"Days: +{model.fe_params['Days']:.3g} ({low:.3g} to {high:.3g})" in words
    assert "by restricted maximum likelihood (REML) to 180 rows" in words and "t intervals" in words


def wine(**options: str) -> GLMMResult:
    return interlace.clmm("rating ~ temp + (1 | judge)", load_data("wine"), **options)


def test_explanation_of_ordered_categories_has_link_thresholds_and_odds() -> None:
    model = wine()
    words, latex = str(model.explain()), model.explain().to_latex()
    assert "ordered categories 1 < 2 < 3 < 4 < 5" in words and "with the logit link" in words
    assert f"temp[T.warm]: {np.exp(model.fe_params.iloc[0]):.3g} (" in words
    assert "odds ratio" in words and f"1|2: {model.thresholds['1|2']:.3g} (" in words
    assert r"\operatorname{logit} P(\text{rating}_i \le k \mid b) &= \alpha_k - \eta_i" in latex
    assert "threshold_1" not in latex and "mean" not in words
    probit = str(wine(link="probit", threshold="equidistant").explain())
    assert "probit link" in probit and "odds" not in probit and "4|5:" in probit


def test_thresholds_have_intervals_and_names_everywhere() -> None:
    model = wine(threshold="symmetric")
    assert list(model.vcov().index[-3:]) == ["central_1", "central_2", "spacing_1"]
    assert list(wine().vcov().index[-4:]) == ["1|2", "2|3", "3|4", "4|5"]
    found = model.confint("threshold")
    assert list(found.index) == list(model.thresholds.index)
    np.testing.assert_allclose(found["estimate"], model.thresholds)
    half = 1.959964 * model.threshold_bse
    np.testing.assert_allclose(found["upper"], model.thresholds + half, rtol=1e-6)
    assert model.family_params.empty


def test_thresholds_that_vary_are_coefficients_of_parameters() -> None:
    model = interlace.glmer(
        "rating ~ contact + (1 | judge)", load_data("wine"), "cumulative",
        parameters={"threshold_2": "~ temp"},
    )  # fmt: skip
    assert "Coefficients of threshold_2 (identity scale" in str(model.summary())


def test_explanation_states_ratios_with_their_meaning() -> None:
    words = str(cbpp().explain())
    ratio = np.exp(cbpp().fe_params["period[T.2]"])
    assert f"period[T.2]: {ratio:.3g} (" in words
    assert (
        "odds ratio" in words and "15 levels of herd" in words and "No rows were left out" in words
    )
    counts = str(salamanders().explain())
    assert "rate ratio" in counts and "beside the zeros" in counts and "Effects on pi" in counts
    assert "identity scale" in str(sleepstudy().explain())


def test_explanation_tells_what_was_fixed_and_dropped() -> None:
    data = datasets.load("Salamanders").assign(twice=lambda d: 2 * d["DOY"])
    data.loc[[3, 4], "DOY"] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", interlace_warning())
        model = interlace.glmer(
            "count ~ DOY + twice + offset(DOY) + (1 | site)", data,
            family("negativebinomial", theta=2.0),
        )  # fmt: skip
    words = str(model.explain())
    assert "theta = 2 (fixed by the call" in words
    assert "2 of 644 rows were left out for missing values" in words
    assert "Collinear and left out: twice" in words and "offset" in words


def interlace_warning() -> type[Warning]:
    from interlace_core.messages.errors import InterlaceWarning

    return InterlaceWarning


def test_explanation_has_balanced_latex_with_the_estimates() -> None:
    latex = sleepstudy().explain().to_latex()
    for begin, end in ((r"\begin{", r"\end{"), ("{", "}")):
        assert latex.count(begin) == latex.count(end)
    assert r"\mu_i &= 251 + 10.5\,\text{Days}_i + b^{(1)}_{\text{Subject}[i],1}" in latex
    assert r"\begin{pmatrix}" in latex and r"\log" not in latex


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (
            {"formula": "incidence / size ~ period", "family": "binomial", "groups": "herd",
             "weights": "size", "data": "cbpp"},
            ["glmmTMB(", "incidence / size ~ period + (1 | herd)", 'binomial(link = "logit")',
             "weights = size", 'factor(d[["period"]], levels = c("1", "2", "3", "4"))'],
        ),
        (
            {"formula": "(incidence, size - incidence) ~ 1 + (1 | herd)", "family": "binomial",
             "nAGQ": 5, "data": "cbpp"},
            ["library(lme4)", "cbind(incidence, size - incidence) ~ 1", "nAGQ = 5",
             "constant that lme4 leaves out"],
        ),
        (
            {"formula": "Reaction ~ center(Days) + I(Days**2) + (Days || Subject)",
             "family": "gaussian", "data": "sleepstudy"},
            ["center <- function(x)", "center(Days) + I(Days^2) + diag(1 + Days | Subject)",
             'gaussian(link = "identity")'],
        ),
        (
            {"formula": "count ~ C(sample) + offset(np.log(cover + 2)) + (1 | site)",
             "family": "hurdle_poisson", "data": "Salamanders"},
            ["factor(sample) + offset(log(cover + 2))", "truncated_poisson(", "ziformula = ~ 1"],
        ),
        (
            {"formula": "count ~ 1 + (1 | site)", "family": "negativebinomial1",
             "dispformula": "~ mined", "data": "Salamanders"},
            ["nbinom1(", "dispformula = ~ mined"],
        ),
    ],
    ids=["weights", "quadrature", "transforms", "hurdle", "dispersion"],
)  # fmt: skip
def test_r_code_spells_the_call_as_r_does(arguments: dict, parts: list[str]) -> None:
    arguments = {**arguments, "data": datasets.load(arguments["data"])}
    code = interlace.glmer(**arguments).r_code("d")
    for part in parts:
        assert part in code
    assert code.count("(") - code.count(")") == 0


def test_r_code_fixes_what_was_fixed() -> None:
    data = datasets.load("Salamanders")
    model = interlace.glmer(
        "count ~ mined + (1 | site)", data, family("negativebinomial", theta=2.0)
    )
    assert "start = setNames(list(0.693147180559945), c(disp))" in model.r_code()
    assert "map = setNames(list(factor(NA)), c(disp))" in model.r_code()


@pytest.mark.parametrize(
    ("right", "name", "named"),
    [
        ("standardize(Days)", "gaussian", "'standardize'"),
        ("C(Days, contr.sum)", "gaussian", "contr.sum"),
        ("Days", "inversegaussian", "inversegaussian"),
    ],
)
def test_r_code_refuses_what_r_would_read_otherwise(right: str, name: str, named: str) -> None:
    model = interlace.glmer(
        f"Reaction ~ {right} + (1 | Subject)", datasets.load("sleepstudy"), name
    )
    with pytest.raises(NotAvailableError, match=named):
        model.r_code()


def test_penalised_fit_is_called_so_and_has_no_r_code() -> None:
    model = interlace.glmer(
        "incidence / size ~ period + (1 | herd)", datasets.load("cbpp"), "binomial",
        weights="size", priors={"fixed": interlace.normal(0.0, 2.5)},
    )  # fmt: skip
    assert (
        "penalised maximum likelihood (MAP), whose optimum is a posterior mode, with priors"
        in str(model.explain())
    )
    with pytest.raises(NotAvailableError, match="penalised"):
        model.r_code()
