"""Comparisons and tests of linear mixed models, against lme4's and lmerTest's."""

import json
from dataclasses import replace

import numpy as np
import pytest

import interlace
from interlace_core.messages.errors import ConvergenceWarning, NotAvailableError, OptionError
from interlace_core.registry.registry import default_registry
from reference_fits import FOLDER, fit_ids, load_data, load_fit

LME4 = json.loads((FOLDER / "anova.json").read_text())
"""By anova.R in that folder, which stands for lme4's anova() and drop1()."""


@pytest.fixture(scope="module")
def sleep():
    data = load_data("sleepstudy")
    terms = {"none": "1 + (1 | Subject)", "days": "Days + (1 | Subject)"}
    terms["slopes"] = "Days + (Days | Subject)"
    return {name: interlace.fit(f"Reaction ~ {right}", data) for name, right in terms.items()}


@pytest.fixture(scope="module")
def cake():
    return interlace.fit(
        "angle ~ recipe + temperature + (1 | replicate)", load_data("cake"), df_method="none"
    )


def assert_agrees(found, expected):
    """Tolerances: lme4's optima are good to about 1e-9 here, each of ours to 1e-7 of llf."""
    assert found["loglik"].to_numpy() == pytest.approx(expected["logLik"], abs=1e-6)
    assert found["aic"].to_numpy() == pytest.approx(expected["AIC"], abs=1e-6)
    assert found["bic"].to_numpy() == pytest.approx(expected["BIC"], abs=1e-6)
    assert found["chisq"].iloc[1] == pytest.approx(expected["Chisq"][1], abs=1e-6)


def test_other_fixed_effects_are_compared_by_maximum_likelihood_as_lme4_does(sleep):
    found = interlace.anova(sleep["none"], sleep["days"])
    assert_agrees(found, LME4["fixed"])
    assert found["pvalue"].iloc[1] == pytest.approx(LME4["fixed"]["Pr(>Chisq)"][1], rel=1e-5)
    assert found.columns.name == "refitted by ML"
    assert "refitted by ML" in str(found)


def test_the_same_fixed_effects_are_compared_by_restricted_likelihood(sleep):
    found = interlace.anova(sleep["days"], sleep["slopes"])
    assert_agrees(found, LME4["random_by_reml"])
    assert found.columns.name == "by REML"


def test_refit_asks_for_maximum_likelihood(sleep):
    found = interlace.anova(sleep["days"], sleep["slopes"], refit=True)
    assert_agrees(found, LME4["random_by_ml"])
    assert found.columns.name == "refitted by ML"


def test_a_fit_by_each_method_makes_the_comparison_one_by_maximum_likelihood(sleep):
    by_ml = interlace.fit("Reaction ~ Days", load_data("sleepstudy"), groups="Subject", method="ML")
    assert_agrees(interlace.anova(by_ml, sleep["slopes"]), LME4["random_by_ml"])
    with pytest.raises(OptionError, match="Leave out refit=False"):
        interlace.anova(by_ml, sleep["slopes"], refit=False)


def test_the_same_names_for_other_columns_are_other_fixed_effects(sleep):
    data = load_data("sleepstudy")
    doubled = interlace.fit("Reaction ~ Days + (1 | Subject)", data.assign(Days=2.0 * data["Days"]))
    with pytest.raises(OptionError, match="depends on the fixed effects, which differ"):
        interlace.anova(sleep["days"], doubled, refit=False)


def test_fits_by_maximum_likelihood_have_no_heading(sleep):
    found = interlace.anova(sleep["days"].refit_ml(), sleep["slopes"].refit_ml())
    assert found.columns.name is None


def test_a_result_without_its_data_cannot_be_refitted(sleep):
    with pytest.raises(NotAvailableError, match="needs the data of the fit"):
        interlace.anova(sleep["none"].without_training(), sleep["days"])


def test_drop1_refits_by_maximum_likelihood_as_lme4_does(cake):
    found, expected = cake.drop1(), LME4["drop1"]
    assert found["aic"].to_numpy() == pytest.approx(expected["AIC"], abs=1e-6)
    assert found["lrt"].to_numpy()[1:] == pytest.approx(expected["LRT"][1:], abs=1e-6)
    assert found["pvalue"].to_numpy()[1:] == pytest.approx(expected["Pr(Chi)"][1:], rel=1e-5)
    assert found.columns.name == "refitted by ML"


def test_refit_ml_is_the_fit_by_maximum_likelihood(sleep):
    refitted = sleep["slopes"].refit_ml()
    expected = interlace.fit(sleep["slopes"].formula, load_data("sleepstudy"), method="ML")
    assert refitted.method == "ML" and not refitted.restricted
    assert refitted.llf == pytest.approx(expected.llf, abs=1e-6)
    for quantity in ("fe_params", "fe_bse", "fe_df"):
        ours, theirs = (getattr(each, quantity).to_numpy() for each in (refitted, expected))
        # each may leave 1e-7 of log-likelihood, which is 4e-4 standard errors
        assert ours == pytest.approx(theirs, rel=1e-3), quantity
    assert refitted.refit_ml() is refitted
    assert str(refitted.summary()).splitlines()[0] == str(expected.summary()).splitlines()[0]


def test_a_kenward_roger_fit_has_satterthwaites_tests_by_maximum_likelihood():
    data = load_data("sleepstudy")
    fitted = interlace.fit("Reaction ~ Days", data, groups="Subject", df_method="kenward-roger")
    expected = interlace.fit("Reaction ~ Days", data, groups="Subject", method="ML")
    refitted = fitted.refit_ml()
    assert "Satterthwaite" in str(refitted.summary())
    assert refitted.fe_df.to_numpy() == pytest.approx(expected.fe_df.to_numpy(), rel=1e-3)


def test_a_refit_to_another_response_has_its_own_degrees_of_freedom(sleep):
    data = load_data("sleepstudy")
    y = sleep["slopes"].simulate(1, seed=3, raw=True)[0]
    again = sleep["slopes"].refit(y)
    expected = interlace.fit(sleep["slopes"].formula, data.assign(Reaction=y))
    assert again.fe_bse.to_numpy() == pytest.approx(expected.fe_bse.to_numpy(), rel=1e-3)
    assert again.fe_df.to_numpy() == pytest.approx(expected.fe_df.to_numpy(), rel=1e-2)


TESTS = {"satterthwaite": 1e-4, "kenward-roger": 5e-3}
"""How far the degrees of freedom may be from lmerTest's and pbkrtest's, relative."""

TESTED = [
    (fit_id, method)
    for fit_id in fit_ids()
    for method in TESTS
    if (load_fit(fit_id).get("extras") or {})
    .get(f"anova_typeIII_{method.replace('-', '_')}", {})
    .get("term")
]


@pytest.mark.parametrize(("fit_id", "method"), TESTED)
def test_f_tests_of_terms_agree_with_lmerTest(fit_id, method):
    """Of terms that no other contains: there the coding of factors makes no difference."""
    reference = load_fit(fit_id)
    fitted = interlace.fit(
        reference["formula"],
        load_data(reference["dataset"]),
        method="REML" if reference["REML"] else "ML",
        df_method=method,
    )
    expected = reference["extras"][f"anova_typeIII_{method.replace('-', '_')}"]
    found = fitted.term_tests(type=3)
    names = expected["term"]
    outer = [i for i, name in enumerate(names) if not any(name in o and name != o for o in names)]
    assert outer
    for i in outer:
        row = found.loc[names[i]]
        assert row["F"] == pytest.approx(expected["F value"][i], rel=1e-5)
        assert row["df"] == expected["NumDF"][i]
        assert row["den_df"] == pytest.approx(expected["DenDF"][i], rel=TESTS[method])


def test_the_references_of_tests_are_found():
    assert len(TESTED) >= 10


def test_an_f_test_of_one_coefficient_is_its_t_test_squared(sleep):
    fitted = sleep["slopes"]
    row = fitted.wald_test([0.0, 2.0], value=6.0)
    t = (fitted.fe_params["Days"] - 3.0) / fitted.fe_bse["Days"]
    assert row["F"] == pytest.approx(t**2)
    assert row["den_df"] == pytest.approx(fitted.fe_df["Days"])


def test_rows_that_say_the_same_twice_do_not_count(cake):
    fitted = interlace.fit(cake.formula, load_data("cake"), df_method="satterthwaite")
    L = np.eye(fitted.fe_params.size)[1:3]
    once, again = (fitted.wald_test(each) for each in (L, np.vstack([L, L[0] - L[1]])))
    assert again.to_numpy() == pytest.approx(once.to_numpy())


def test_normal_tests_are_chi_squares(cake):
    assert list(cake.term_tests().columns) == ["chisq", "df", "pvalue"]
    robust = interlace.fit("Reaction ~ Days", load_data("sleepstudy"), groups="Subject")
    given = robust.term_tests(vcov=robust.vcov())
    assert given.loc["Days", "chisq"] == pytest.approx(robust.term_tests().loc["Days", "F"])


SLEEP = load_data("sleepstudy")
WINE = load_data("wine").assign(r=lambda d: d["rating"].astype(int))
CALLS = {
    "fit": lambda **options: interlace.fit("Reaction ~ Days", SLEEP, groups="Subject", **options),
    "clmm": lambda **options: interlace.clmm("rating ~ temp", WINE, groups="judge", **options),
    "glmer": lambda **o: interlace.glmer("r ~ temp", WINE, "poisson", groups="judge", **o),
}


@pytest.mark.parametrize("who", CALLS)
def test_messages_name_the_function_that_was_called(who):
    call = CALLS[who]
    with pytest.raises(OptionError, match=f"^{who}: start: theta"):
        call(start={"theta": [1.0, 2.0]})
    optimizer = default_registry().optimizer("lbfgsb")()
    with pytest.raises(OptionError, match=f"^{who}: optimizer_options"):
        call(optimizer=optimizer, optimizer_options={"memory": 3})
    out_of_reach = interlace.options(tol_decrement=1e-300)
    with out_of_reach, pytest.warns(ConvergenceWarning, match=f"^{who}: "):
        call()


def test_a_larger_model_that_ends_lower_has_no_test():
    """Its fit is no maximum: 0 for the statistic and 1 for its probability would hide that."""
    sleep = interlace.datasets.load("sleepstudy")
    small = interlace.fit("Reaction ~ Days + (1 | Subject)", sleep, method="ML")
    large = interlace.fit("Reaction ~ Days + (Days | Subject)", sleep, method="ML")
    low = replace(large, fit=replace(large.fit, value=large.fit.value + 100.0))
    row = interlace.anova(small, low).iloc[1]
    assert np.isnan(row["chisq"]) and np.isnan(row["pvalue"])
    assert "is not the maximum" in row["reference"]
    table = low.drop1()
    assert np.isnan(table.loc["Days", "lrt"]) and np.isnan(table.loc["Days", "pvalue"])
