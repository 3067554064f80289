"""Names of other software's functions and attributes, answered with those of interlace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from interlace_core.messages.names import did_you_mean, plain

FUNCTIONS = {
    "lmer": "interlace.fit",
    "lme": "interlace.fit",
    "mixedlm": "interlace.fit",
    "glmmTMB": "interlace.glmer",
    "mixed_model": "interlace.glmer",
    "glmer.nb": 'interlace.glmer(..., family="negativebinomial")',
    "glm": "interlace.glmer, which fits without random effects too",
    "clm": "interlace.clmm, which fits without random effects too",
    "polr": "interlace.clmm, which fits without random effects too",
    "powerSim": "interlace.power",
    "emmeans": "interlace.marginaleffects.adapt, for the package marginaleffects",
    "update": "interlace.glmer with the other formula",
    "lm": "interlace.fit, which fits without random effects too",
    "ols": "interlace.fit, which fits without random effects too",
    "gls": "interlace.fit, with correlation= and dispformula=",
    "logit": 'interlace.glmer(..., family="binomial")',
    "zeroinfl": "interlace.glmer(..., ziformula=...)",
    "lsmeans": "interlace.marginaleffects.adapt, for the package marginaleffects",
    "margins": "interlace.marginaleffects.adapt, for the package marginaleffects",
    "avg_slopes": "interlace.marginaleffects.adapt, for the package marginaleffects",
    "avg_comparisons": "interlace.marginaleffects.adapt, for the package marginaleffects",
    "ggpredict": "interlace.plots.effects",
    "ggeffect": "interlace.plots.effects",
    "plot_model": "interlace.plots.coefficients, or effects",
    "plot_predictions": "interlace.plots.effects",
    "check_model": "interlace.plots.residuals, or scaled_residuals",
    "tab_model": "maketables.ETable([m1, m2]), of the package maketables",
    "modelsummary": "maketables.ETable([m1, m2]), of the package maketables",
    "etable": "maketables.ETable([m1, m2]), of the package maketables",
    "stargazer": "maketables.ETable([m1, m2]), of the package maketables",
    "lrtest": "interlace.anova, which takes fits",
    "allFit": "starts=, an argument of a fit, or another optimizer=",
    "anova": "interlace.anova, which takes fits",
    "control": 'optimizer="..." and optimizer_options={...}, arguments of a fit',
    "glmerControl": 'optimizer="..." and optimizer_options={...}, arguments of a fit',
    "lmerControl": 'optimizer="..." and optimizer_options={...}, arguments of a fit',
}
"""What other software calls, and what to call here."""

OF_A_FIT = {
    "fixef": "fe_params",
    "coef": "fe_params",
    "params": "fe_params",
    "fe": "fe_params",
    "bse": "fe_bse",
    "pvalues": "fe_pvalues",
    "tvalues": "fe_zvalues",
    "VarCorr": "variance_components",
    "vcomp": "variance_components",
    "cov_re": "variance_components",
    "blups": "random_effects",
    "logLik": "llf",
    "deviance": "llf, times -2",
    "sigma": "scale, its square",
    "fitted": "fittedvalues",
    "ngrps": "ngroups",
    "cov_params": "vcov",
    "isSingular": "singularity()",
    "rePCA": "principal_axes()",
    "cooks_distance": "influence().cook",
    "icc": "r2().icc",
    "r_squared_GLMM": "r2()",
    "rsquared": "r2()",
    "simulateResiduals": "scaled_residuals()",
    "bootMer": "bootstrap()",
    "parametric_bootstrap": "bootstrap()",
    "df_resid": "nobs less df",
    "df_residual": "nobs less df",
    "resid_pearson": 'residuals("pearson")',
    "resid_deviance": 'residuals("deviance")',
    "report": "explain()",
    "getME": "training.problem, whose predictors and terms have the arrays",
    "model_matrix": "training.problem.predictors[0].X",
    "extractAIC": "aic",
    "aov": "term_tests()",
    "t_test": "wald_test()",
    "f_test": "wald_test()",
    "odds_ratios": "tidy(exponentiate=True)",
    "predictInterval": 'predict(interval="prediction")',
    "get_prediction": 'predict(interval="confidence")',
    "testDispersion": "scaled_residuals().test_dispersion()",
    "testZeroInflation": "scaled_residuals().test_zeros()",
    "testOutliers": "scaled_residuals().test_outliers()",
    "check_overdispersion": "scaled_residuals().test_dispersion()",
    "qqplot": 'plot("residuals")',
    "qqnorm": 'plot("residuals")',
}
"""What other software's fits have, or functions of them give, and where a fit has it here."""


def answer(name: str, elsewhere: Mapping[str, str], known: Iterable[str]) -> str:
    """Return in a sentence what is called `name` elsewhere, or was meant by it; else nothing.

    Parameters
    ----------
    name : str
        In whatever spelling: case, dots and underscores do not count.
    elsewhere : mapping from str to str
        Names of other software, and what to write here.
    known : iterable of str
        What there is here.
    """
    asked = {plain(each): each for each in elsewhere}.get(plain(name))
    if asked is not None:
        return f" What others call {asked} is here {elsewhere[asked]}."
    return did_you_mean(name, known)


def as_functions(attributes: Iterable[str]) -> dict[str, str]:
    """Return what R's functions of a fit are here: its attributes, by R's names and by ours."""
    own = {each: each for each in attributes if not each.startswith("_")}
    return {name: f"m.{here}, of a fit m" for name, here in (own | OF_A_FIT).items()}
