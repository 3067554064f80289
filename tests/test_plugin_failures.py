"""A component that raises anywhere in a fit is named, with the cause."""

from dataclasses import dataclass

import pytest

import interlace
from interlace_core.messages.errors import PluginError
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
