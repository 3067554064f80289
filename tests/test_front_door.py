"""What stands at the front door: families by class and by anybody's name, links, modules, hints."""

import ast
import copy
import pickle
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import interlace
from interlace import fits
from interlace.elsewhere import FUNCTIONS, OF_A_FIT
from interlace.errors import (
    AmbiguousNameError,
    FormulaError,
    InterlaceError,
    NotAvailableError,
    OptionError,
    UnknownNameError,
)
from interlace.plugin_table import plugin_table
from interlace_core.contract import LINKS, Family, Optimizer, OptimizerFacts, Parameter, hookimpl
from interlace_core.registry import registry as registries
from interlace_core.registry.registry import Registry, default_registry

ROOT = Path(__file__).parents[1]
OFFERS = default_registry().classes("family")
CLASSES = {each.cls.__name__: each.cls for each in OFFERS}
DESIGNED = (
    "NegativeBinomial1Family",
    "NegativeBinomial2Family",
    "BetaFamily",
    "GammaFamily",
    "ZeroInflatedPoissonFamily",
    "ZeroInflatedNB2Family",
    "HurdlePoissonFamily",
    "ZeroOneInflatedBetaFamily",
)
ELSEWHERE = {
    # R's own, as lme4 takes them
    "gaussian": "gaussian", "binomial": "binomial", "poisson": "poisson", "Gamma": "gamma",
    "inverse.gaussian": "inversegaussian", "negative.binomial": "negativebinomial",
    # glmmTMB
    "nbinom1": "negativebinomial1", "nbinom2": "negativebinomial",
    "nbinom12": "negativebinomial12", "beta_family": "beta", "betabinomial": "betabinomial",
    "tweedie": "tweedie", "compois": "compois", "genpois": "genpois", "ordbeta": "ordered_beta",
    "t_family": "student_t", "skewnormal": "skewnormal",
    "truncated_poisson": "truncated_poisson",
    "truncated_nbinom1": "truncated_negativebinomial1",
    "truncated_nbinom2": "truncated_negativebinomial",
    # brms
    "bernoulli": "binomial", "beta_binomial": "betabinomial", "negbinomial": "negativebinomial",
    "student": "student_t", "skew_normal": "skewnormal", "Beta": "beta",
    "zero_inflated_poisson": "zeroinflated_poisson",
    "zero_inflated_negbinomial": "zeroinflated_negativebinomial",
    "hurdle_poisson": "hurdle_poisson", "hurdle_negbinomial": "hurdle_negativebinomial",
    "zero_one_inflated_beta": "zerooneinflated_beta", "cumulative": "cumulative",
    "com_poisson": "compois",
    # GLMMadaptive, mgcv, GPBoost
    "zi.poisson": "zeroinflated_poisson", "zi.negative.binomial": "zeroinflated_negativebinomial",
    "hurdle.poisson": "hurdle_poisson", "hurdle.negative.binomial": "hurdle_negativebinomial",
    "beta.fam": "beta", "students.t": "student_t", "nb": "negativebinomial", "tw": "tweedie",
    "betar": "beta", "scat": "student_t", "negative_binomial": "negativebinomial",
    "negative_binomial_1": "negativebinomial1",
    # statsmodels, MixedModels.jl
    "Binomial": "binomial", "NegativeBinomial": "negativebinomial",
    "InverseGaussian": "inversegaussian", "Normal": "gaussian", "Bernoulli": "binomial",
}  # fmt: skip
CHOICES = [(cls, name) for cls in CLASSES.values() for name in cls.links]


class Own:
    """A third party's plugin."""

    @staticmethod
    @hookimpl
    def interlace_families():
        return [LaplaceFamily]


@dataclass(frozen=True)
class LaplaceFamily(Family):
    name = "double_exponential"
    aliases = ("laplace.dist", "nbinom1")
    links = ("identity", "log")
    support = "real"

    link: str = "identity"

    @property
    def parameters(self):
        return (Parameter("mu", LINKS[self.link], role="mean"),)

    def log_density(self, y, eta):
        return -np.abs(y - LINKS[self.link].mu(eta[0])) - np.log(2.0)

    def mean(self, eta):
        return LINKS[self.link].mu(eta[0])


@pytest.fixture
def with_own(monkeypatch):
    registry = Registry()
    registry.register_plugin(Own, distribution="own")
    monkeypatch.setattr(registries, "default_registry", lambda: registry)
    monkeypatch.setattr(fits, "default_registry", lambda: registry)
    return registry


@pytest.fixture(scope="module")
def cbpp():
    return interlace.datasets.load("cbpp")


def fit(cbpp, family="binomial", **options):
    return interlace.glmer(
        "incidence / size ~ period", cbpp, family, groups="herd", weights="size", **options
    )


@pytest.fixture(scope="module")
def logit(cbpp):
    return fit(cbpp)


def refusal(kind, *arguments, **options):
    with pytest.raises(kind) as caught:
        fit(*arguments, **options)
    return str(caught.value)


# Classes


@pytest.mark.parametrize("name", CLASSES)
def test_every_installed_family_is_at_its_door(name):
    assert getattr(interlace.families, name) is CLASSES[name]
    assert getattr(interlace, name) is CLASSES[name]
    assert name in dir(interlace.families) and name in interlace.families.__all__


def test_the_classes_of_the_design_are_public():
    for name in DESIGNED:
        assert name in interlace.__all__ and name in dir(interlace)
        namespace = {}
        exec(f"from interlace import {name}", namespace)
        assert namespace[name] is CLASSES[name]


def test_a_type_checker_knows_every_family_that_is_shipped():
    """What is imported for typing, by its module, is what the registry has at run time."""
    typed = {}
    for node in ast.walk(ast.parse((ROOT / "interlace" / "families.py").read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("interlace_"):
            typed |= {each.name: node.module for each in node.names if each.asname == each.name}
    assert typed == {name: cls.__module__ for name, cls in CLASSES.items()}


def test_a_family_of_a_third_party_stands_beside_them(with_own):
    assert interlace.families.LaplaceFamily is LaplaceFamily
    assert "LaplaceFamily" in dir(interlace.families)
    namespace = {}
    exec("from interlace.families import *", namespace)
    assert namespace["LaplaceFamily"] is LaplaceFamily and namespace["BetaFamily"]


def test_a_class_name_that_two_distributions_have_is_told_with_both(with_own):
    rival = type("PoissonFamily", (LaplaceFamily,), {"name": "rival", "__module__": "theirs"})
    plugin = SimpleNamespace(interlace_families=hookimpl(lambda: [rival]))
    with_own.register_plugin(plugin, distribution="theirs")
    with pytest.raises(AttributeError, match="several .* Import it from .*theirs") as caught:
        _ = interlace.families.PoissonFamily
    assert "interlace_families.poisson" in str(caught.value)
    assert "PoissonFamily" not in dir(interlace.families)


def test_a_class_that_is_not_there_is_told_with_what_was_meant():
    for name in ("NegativeBinomialFamily", "NegativeBinomail2Family"):
        with pytest.raises(AttributeError, match="Did you mean 'NegativeBinomial2Family'"):
            getattr(interlace, name)
    with pytest.raises(AttributeError, match="no installed family has a class 'Horse'"):
        _ = interlace.families.Horse
    assert not hasattr(interlace.families, "__path__")


# Names


@pytest.mark.parametrize("name", ELSEWHERE)
def test_other_softwares_names_are_answered(name):
    assert default_registry().family(name).name == ELSEWHERE[name]


def test_names_of_r_packages_are_those_that_r_code_writes():
    """Where a family says what it is in glmmTMB, that name finds it; zero parts have none."""
    for each in OFFERS:
        r_name = each.cls().r_family
        parts = [parameter.role for parameter in each.cls().parameters]
        if r_name is not None and "zero" not in parts and each.name != "lognormal_sd":
            assert default_registry().family(r_name) is each.cls, each.name


def test_no_two_shipped_families_answer_to_one_name():
    names = [name.lower().replace("_", "") for e in OFFERS for name in (e.name, *e.aliases)]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_a_name_of_its_own_goes_before_an_alias(with_own):
    assert with_own.family("double_exponential") is LaplaceFamily
    assert with_own.family("Laplace dist") is LaplaceFamily
    with pytest.raises(AmbiguousNameError) as caught:
        with_own.family("nbinom1")
    for way in ("'interlace-counts:negativebinomial1'", "'own:double_exponential'"):
        assert way in str(caught.value)
    assert with_own.family("own:nbinom1") is LaplaceFamily


def test_a_subclass_with_a_name_of_its_own_has_no_alias_of_its_base(with_own):
    mine = type("Mine", (CLASSES["NegativeBinomial2Family"],), {"name": "mine"})
    plugin = SimpleNamespace(interlace_families=hookimpl(lambda: [mine]))
    with_own.register_plugin(plugin, distribution="mine")
    assert with_own.family("nbinom2") is CLASSES["NegativeBinomial2Family"]


def test_a_fit_by_another_name_is_the_same_fit(cbpp, logit):
    other = fit(cbpp, "Binomial", optimizer="L-BFGS-B")
    assert other.llf == pytest.approx(logit.llf, rel=1e-13) and other.family.name == "binomial"


def test_a_name_close_to_an_alias_gets_the_name_here(cbpp):
    message = refusal(UnknownNameError, cbpp, "zinb3")
    assert "Did you mean 'zeroinflated_negativebinomial' (also called 'zinb')?" in message


def test_a_family_of_another_library_is_told_by_its_name_here(cbpp):
    other = type("NegativeBinomial", (), {})
    for given in (other, other()):
        assert "Its name here is 'negativebinomial'." in refusal(OptionError, cbpp, given)
    assert "Its name" not in refusal(OptionError, cbpp, 3)


@pytest.mark.parametrize(
    ("written", "link"),
    [("binomial(link='probit')", "probit"), ("Gamma(inverse)", "inverse"), ("a(b())", None)],
)
def test_a_family_written_with_its_link_is_told_how(cbpp, written, link):
    message = refusal(OptionError, cbpp, written)
    assert f"Write family={written.partition('(')[0]!r}" in message
    assert (f"link={link!r}" in message) == (link is not None)


# Links


@pytest.mark.parametrize(("cls", "name"), CHOICES, ids=lambda each: getattr(each, "name", each))
def test_a_link_by_name_is_that_of_the_class(cls, name):
    made = interlace.components.as_family(cls.name, default_registry(), {}, "glmer", name)
    assert made == cls(link=name)
    assert interlace.components.as_family(made, default_registry(), {}, "glmer", name) is made


def test_a_link_asked_for_is_fitted(cbpp, logit):
    probit = fit(cbpp, link="probit")
    assert probit.llf == fit(cbpp, CLASSES["BinomialFamily"](link="probit")).llf != logit.llf
    assert probit.llf == fit(cbpp, CLASSES["BinomialFamily"], link=LINKS["probit"]).llf
    assert "mu: probit" in str(probit.summary())


def test_the_latent_scale_of_a_cumulative_model_has_its_link_too():
    wine = {"rating": [1, 2, 3, 2, 3, 1, 2, 3, 3, 1, 1, 2], "x": [0.0, 1.0, 2.0, 1.5] * 3}
    by_name = interlace.glmer("rating ~ x", wine, "cumulative", link="cloglog")
    assert by_name.llf == interlace.clmm("rating ~ x", wine, random=[], link="cloglog").llf


def test_a_link_given_twice_must_be_the_same(cbpp):
    cloglog = CLASSES["BinomialFamily"](link="cloglog")
    assert fit(cbpp, cloglog, link="cloglog").family.link == "cloglog"
    assert "Give the link in one place" in refusal(OptionError, cbpp, cloglog, link="logit")


@pytest.mark.parametrize(
    ("family", "link", "kind", "words"),
    [
        ("binomial", "prob", UnknownNameError, "Did you mean 'probit'? Its links are logit, pro"),
        ("binomial", "Logit", UnknownNameError, "Did you mean 'logit'?"),
        ("binomial", "horse", UnknownNameError, "has no link 'horse'. Its links are logit"),
        ("gamma", "sqrt", UnknownNameError, "Its links are log, inverse, identity"),
        ("nbinom1", "identity", OptionError, "has one link, 'log'"),
        ("binomial", 3, OptionError, "link must be a name, such as 'log', or a Link, got int"),
    ],
)
def test_a_link_that_cannot_be_had_is_refused_in_words(cbpp, family, link, kind, words):
    assert words in refusal(kind, cbpp, family, link=link)


def test_the_only_link_may_be_named(cbpp):
    made = interlace.components.as_family("nbinom1", default_registry(), {}, "glmer", "log")
    assert made == CLASSES["NegativeBinomial1Family"]()


def test_clmm_tells_the_link_that_was_meant():
    with pytest.raises(OptionError, match="got 'logistic'. Did you mean 'logit'?"):
        interlace.clmm("rating ~ 1", {"rating": [1, 2, 3]}, random=[], link="logistic")


def test_power_takes_a_link(cbpp):
    how = {"fixed": {"period[T.2]": 0.4}, "sd": {"herd": 0.3}, "test": "period[T.2]", "n": 3}
    design = ("incidence / size ~ period + (1 | herd)", cbpp)
    by_name, by_class, logit = (
        interlace.power(*design, family, **link, **how, weights="size", seed=1).pvalues
        for family, link in (
            ("binomial", {"link": "probit"}),
            (CLASSES["BinomialFamily"](link="probit"), {}),
            ("binomial", {}),
        )
    )
    assert np.array_equal(by_name, by_class) and not np.array_equal(by_name, logit)


# Optimizers that may not be there


def test_what_an_extra_brings_is_said_with_its_command(cbpp, monkeypatch):
    registry = Registry()
    kinds = ("family", "optimizer", "approximation", "covariance")
    everything = [each for kind in kinds for each in registry.classes(kind)]
    registry._registered = [each for each in everything if each.name != "bobyqa"]
    registry._sorted.clear()
    monkeypatch.setattr(fits, "default_registry", lambda: registry)
    for asked in ("bobyqa", "BOBYQA", "bobqa"):
        message = refusal(UnknownNameError, cbpp, optimizer=asked)
        assert "pip install 'interlace[bobyqa]'" in message
        assert "choose one of those installed: cobyqa, lbfgsb" in message
    assert "pip" not in refusal(UnknownNameError, cbpp, optimizer="nelder-mead")
    assert "pip" not in refusal(UnknownNameError, cbpp, optimizer="parallel")


@dataclass(frozen=True)
class Far(Optimizer):
    name = "far"
    facts = OptimizerFacts(uses_gradient=False, supports_bounds=True)
    unavailable = "It runs on the moon alone. Choose another optimizer."

    max_evaluations: int = 1

    def minimize(self, objective, start, bounds):
        raise AssertionError("an optimizer that cannot run was run")


def test_an_optimizer_that_cannot_run_here_is_refused_before_the_fit(cbpp):
    message = refusal(NotAvailableError, cbpp, optimizer=Far())
    assert message == "glmer: optimizer 'far' cannot run here. " + Far.unavailable


def test_an_optimizer_that_cannot_run_here_is_listed_so():
    registry = Registry()
    plugin = SimpleNamespace(interlace_optimizers=hookimpl(lambda: [Far]))
    registry.register_plugin(plugin, distribution="far")
    row = plugin_table(registry).set_index("name").loc["far"]
    assert "cannot run here: It runs on the moon alone" in row["capabilities"]


def test_the_table_says_links_and_other_names():
    said = interlace.plugins().set_index("name")["capabilities"]
    assert "links logit, probit, cloglog" in said["beta"]
    assert "also called beta_family" in said["beta"] and "also called" not in said["gamma"]


# Modules, and names of other software


def test_dir_shows_what_there_is_and_all_of_it_is_there():
    shown = [each for each in dir(interlace) if not each.startswith("_")]
    assert sorted(shown) == sorted(interlace.__all__)
    assert {"plots", "families", "errors", "datasets"} <= set(shown)
    assert all(getattr(interlace, each) is not None for each in shown)


def test_errors_at_the_door_are_all_that_there_are():
    from interlace_core.messages import errors

    made = {each for each in vars(errors).values() if isinstance(each, type)}
    assert {getattr(interlace.errors, each) for each in interlace.errors.__all__} == made


@pytest.mark.parametrize("name", ["lmer", "glmmTMB", "fixef", "ranef", "VarCorr", "mixedlm"])
def test_names_of_r_functions_are_answered(name):
    with pytest.raises(AttributeError, match=f"What others call {name} is here "):
        getattr(interlace, name)


def test_names_of_other_fits_are_answered(logit):
    for name, words in {
        "fixef": "here fe_params",
        "VarCorr": "variance_components",
        "logLik": "llf",
        "isSingular": r"singularity\(\)",
        "predct": "Did you mean 'predict'",
    }.items():
        with pytest.raises(AttributeError, match=words):
            getattr(logit, name)


def test_what_is_answered_is_there(logit):
    """Every answer begins with a name of ours, and none hides one that there is."""
    for name, here in OF_A_FIT.items():
        assert hasattr(logit, here.split("(")[0].split(",")[0].split()[0].split(".")[0]), here
        assert not hasattr(logit, name)
    for name, here in FUNCTIONS.items():
        found = interlace
        first = here.split("(")[0].split(",")[0].split()[0]
        if first.startswith("interlace."):
            for part in first.split(".")[1:]:
                if part == "marginaleffects":
                    break
                found = getattr(found, part)
        assert not hasattr(logit, name)


@pytest.mark.parametrize(
    ("written", "here"),
    [
        ("factor(period)", r"C\(x\)"),
        ("as.factor(period)", r"C\(x\)"),
        ("ns(size, 3)", r"cr\(x, df=4\)"),
    ],
)
def test_functions_of_r_formulas_are_answered(cbpp, written, here):
    with pytest.raises(FormulaError, match=f"What R calls so is here {here}"):
        interlace.glmer(f"incidence / size ~ {written}", cbpp, "binomial", weights="size")


def test_what_is_said_of_r_formulas_can_be_written(cbpp):
    from interlace.formulas.allowed import OF_R

    words = " ".join(OF_R.values())
    written = {
        "C(x)": "C(period)",
        "C(x, Treatment('base'))": "C(period, Treatment('2'))",
        "cr(x, df=4)": "cr(size, df=4)",
        "a:b": "size:period",
        "(x > 0)": "(size > 9)",
    }
    assert {part for part in written if part in words} == set(written)
    for text in written.values():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = interlace.glmer(f"incidence / size ~ {text}", cbpp, "binomial", weights="size")
        assert fitted.nobs == len(cbpp)


def test_a_property_that_fails_keeps_its_own_error(logit):
    class Failing(type(logit)):
        @property
        def aicc(self):
            raise AttributeError("the reason")

    failing = Failing(**{k: v for k, v in vars(logit).items() if not k.startswith("_")})
    with pytest.raises(AttributeError, match="the reason"):
        _ = failing.aicc


def test_results_are_copied_and_pickled_as_before(logit):
    for again in (copy.deepcopy(logit), pickle.loads(pickle.dumps(logit))):
        assert again.llf == logit.llf
        with pytest.raises(AttributeError):
            _ = again.__no_such_dunder__


def test_every_error_of_the_front_is_an_interlace_error():
    assert all(
        issubclass(getattr(interlace.errors, each), (InterlaceError, Warning))
        for each in interlace.errors.__all__
    )
