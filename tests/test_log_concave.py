"""What families say about log-concavity, link by link, against Hessians near and far."""

import numpy as np
import pytest

from interlace_core.registry.registry import default_registry
from interlace_core.testing import family_checks

MEAN, DISPERSION = (0,), (1,)

CONCAVE = [
    ("gaussian", "identity", "real", [MEAN, DISPERSION]),
    ("gaussian", "log", "real", [DISPERSION]),
    ("gaussian", "inverse", "real", [DISPERSION]),
    ("binomial", "logit", "trials", [MEAN]),
    ("binomial", "probit", "trials", [MEAN]),
    ("binomial", "cloglog", "trials", [MEAN]),
    ("binomial", "log", "trials", [MEAN]),
    ("poisson", "log", "counts", [MEAN]),
    ("poisson", "identity", "counts", [MEAN]),
    ("poisson", "sqrt", "counts", [MEAN]),
    ("gamma", "log", "positive", [MEAN, DISPERSION]),
    ("gamma", "inverse", "positive", [MEAN, DISPERSION]),
    ("gamma", "identity", "positive", [DISPERSION]),
    ("inversegaussian", "log", "positive", [DISPERSION]),
    ("inversegaussian", "1/mu^2", "positive", [MEAN, DISPERSION]),
    ("inversegaussian", "inverse", "positive", [MEAN, DISPERSION]),
    ("negativebinomial", "log", "counts", [MEAN]),
    ("cumulative", "logit", "categories", [MEAN, (0, 1)]),
    ("cumulative", "probit", "categories", [MEAN, (0, 1)]),
    ("cumulative", "cloglog", "categories", [MEAN, (0, 1)]),
    ("cumulative", "loglog", "categories", [MEAN, (0, 1)]),
    ("truncated_poisson", None, "positive counts", [MEAN]),
    ("hurdle_poisson", None, "counts", [MEAN, (1,), (0, 1)]),
    ("hurdle_negativebinomial1", None, "counts", [(2,)]),
    ("tweedie", None, "non-negative", [MEAN]),
    ("skewnormal", None, "real", [MEAN]),
    ("student_t", None, "real", [DISPERSION]),
]

NOT_CONCAVE = [
    ("binomial", "cauchit", MEAN),
    ("cumulative", "cauchit", MEAN),
    ("gaussian", "log", MEAN),
    ("gaussian", "identity", (0, 1)),
    ("gamma", "identity", MEAN),
    ("inversegaussian", "log", MEAN),
    ("negativebinomial", "identity", MEAN),
    ("negativebinomial", "sqrt", MEAN),
    ("negativebinomial1", None, MEAN),
    ("truncated_negativebinomial", None, MEAN),
    ("hurdle_negativebinomial1", None, MEAN),
    ("zeroinflated_poisson", None, MEAN),
    ("genpois", None, MEAN),
    ("student_t", None, MEAN),
    ("beta", None, MEAN),
    ("betabinomial", None, MEAN),
]


def family_of(name, link):
    cls = default_registry().family(name)
    return cls() if link is None else cls(link=link)


@pytest.mark.parametrize(("name", "link", "support", "claims"), CONCAVE)
def test_what_is_said_to_be_concave_is(name, link, support, claims):
    family = family_of(name, link)
    assert all(family.log_concave(wrt) for wrt in claims)
    domains = {"mu": (0.0, np.inf)} if name in ("poisson", "gamma") and link == "identity" else None
    dict(family_checks(family, support=support, domains=domains))["log-concavity is real"]()


@pytest.mark.parametrize(("name", "link", "wrt"), NOT_CONCAVE)
def test_what_is_not_concave_is_not_said_to_be(name, link, wrt):
    assert family_of(name, link).log_concave(wrt) is False
