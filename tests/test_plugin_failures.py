"""A component that raises anywhere in a fit is named, with the cause."""

from dataclasses import dataclass

import pytest

import interlace
from interlace_core.messages.errors import PluginError
from interlace_core.records import Derivatives
from interlace_core.registry.registry import default_registry

POISSON, LAPLACE, LBFGSB = (
    default_registry().family("poisson"),
    default_registry().approximation("laplace"),
    default_registry().optimizer("lbfgsb"),
)


def unlucky(self, *arguments, **options):
    raise ZeroDivisionError("no luck")


def broken(base, method):
    """Return an instance of a subclass with one method that raises."""
    return dataclass(frozen=True)(type("Unlucky", (base,), {method: unlucky}))()


def refused(**options):
    """Return the error of a fit of counts."""
    cbpp = interlace.datasets.load("cbpp")
    with pytest.raises(PluginError) as caught:
        interlace.glmer("incidence ~ period + (1 | herd)", cbpp, **{"family": "poisson", **options})
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert "ZeroDivisionError: no luck" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("method", ["check_response", "bind", "observed", "start", "derivatives"])
def test_a_family_is_named(method):
    assert "family 'poisson' of class" in refused(family=broken(POISSON, method))


@pytest.mark.parametrize("method", ["check", "objective", "profiled"])
def test_an_approximation_is_named(method):
    message = refused(approximation=broken(LAPLACE, method))
    assert "approximation 'laplace' of class" in message


def test_an_optimizer_is_named():
    assert "optimizer 'lbfgsb' of class" in refused(optimizer=broken(LBFGSB, "minimize"))


@pytest.mark.parametrize("method", ["template", "pullback", "start"])
def test_a_covariance_structure_is_named(method, monkeypatch):
    monkeypatch.setattr(default_registry().covariance("us"), method, unlucky)
    assert "covariance 'us' of plugin core of distribution interlace-core" in refused()


def replaced(base, method, answer):
    """Return an instance of a subclass whose method answers with a function of its own answer."""

    def other(self, *arguments, **options):
        return answer(getattr(base, method)(self, *arguments, **options))

    return dataclass(frozen=True)(type("Forgetful", (base,), {method: other}))()


def without_a_row(found):
    return Derivatives(found.value[..., :-1], found.partials)


@pytest.mark.parametrize(
    ("method", "answer", "words"),
    [
        (
            "mean",
            lambda found: None,
            r"mean\(\) must return one number.*got None",
        ),
        ("log_density", lambda found: None, r"log_density\(\) must return one number"),
        ("derivatives", lambda found: None, r"derivatives\(\) must return Derivatives, got None"),
        ("derivatives", without_a_row, r"derivatives\(\) must have one number for each of 5 rows"),
        ("mean", lambda found: found[..., 1:], r"shape \(4,\)"),
    ],
)
def test_a_family_that_does_not_answer_for_every_row_is_named(method, answer, words):
    cbpp = interlace.datasets.load("cbpp")
    family = replaced(POISSON, method, answer)
    with pytest.raises(PluginError, match=f"family 'poisson' of class .*Forgetful.*{words}"):
        interlace.glmer("incidence ~ period + (1 | herd)", cbpp, family)


def test_fields_of_a_plugin_are_its_own():
    """Names that the library uses within itself mean nothing on a class of others."""
    fields = {
        "inner": 5,
        "points": 7,
        "support": "mine",
        "cloglog_positive": True,
    }
    annotations = {name: type(value) for name, value in fields.items()}
    own = type("Mine", (LAPLACE,), fields | {"__annotations__": annotations})
    Mine = dataclass(frozen=True)(own)
    cbpp = interlace.datasets.load("cbpp")
    call = ("incidence ~ period + (1 | herd)", cbpp, "poisson")
    mine = interlace.glmer(*call, approximation=Mine())
    assert mine.llf == interlace.glmer(*call).llf
    assert mine.r_code() and str(mine.explain()) and mine.influence(exact=0) is not None


def test_a_field_that_hides_a_method_of_the_contract_is_refused():
    Mine = dataclass(frozen=True)(
        type("Mine", (LAPLACE,), {"penalty": 2.0, "__annotations__": {"penalty": float}})
    )
    cbpp = interlace.datasets.load("cbpp")
    with pytest.raises(PluginError, match=r"Mine has penalty = 2.0.*hides the method penalty\(\)"):
        interlace.glmer("incidence ~ 1", cbpp, "poisson", approximation=Mine())


def test_a_continuous_family_that_does_not_say_its_support_is_not_taken_for_counts():
    gaussian = default_registry().family("gaussian")
    Silent = dataclass(frozen=True)(type("Silent", (gaussian,), {"support": "", "name": "silent"}))
    sleep = interlace.datasets.load("sleepstudy")
    call = ("Reaction ~ Days + (1 | Subject)", sleep)
    # a class of its own has no compiled rows, which round differently
    named = interlace.glmer(*call, "gaussian").llf
    assert interlace.glmer(*call, Silent()).llf == pytest.approx(named, rel=1e-12)
