"""Densities, distribution functions and moments of all count families against scipy.stats."""

import numpy as np
import pytest
from scipy import stats

from interlace_counts.conway_maxwell import ConwayMaxwellPoissonFamily
from interlace_counts.generalized_poisson import GeneralizedPoissonFamily
from interlace_counts.hurdle import HurdleNB1Family, HurdleNB2Family, HurdlePoissonFamily
from interlace_counts.negative_binomial import NegativeBinomial2Family
from interlace_counts.negative_binomial1 import NegativeBinomial1Family
from interlace_counts.negative_binomial12 import NegativeBinomial12Family
from interlace_counts.truncated import (
    TruncatedNegativeBinomial1Family,
    TruncatedNegativeBinomial2Family,
    TruncatedPoissonFamily,
)
from interlace_counts.zero_inflated import (
    ZeroInflatedNB1Family,
    ZeroInflatedNB2Family,
    ZeroInflatedPoissonFamily,
)

MU, DISPERSION, PI = 2.3, 1.7, 0.3
PSI = 4.0
COUNTS = np.arange(60.0)


def nb(mu, size):
    return stats.nbinom(size, size / (size + mu))


BASES = {
    "poisson": ([np.log(MU)], stats.poisson(MU)),
    "nb1": ([np.log(MU), np.log(DISPERSION)], nb(MU, MU / DISPERSION)),
    "nb2": ([np.log(MU), np.log(DISPERSION)], nb(MU, DISPERSION)),
}
PLAIN = [
    (NegativeBinomial1Family(), *BASES["nb1"]),
    (NegativeBinomial2Family(), *BASES["nb2"]),
    (
        NegativeBinomial12Family(),
        np.log([MU, DISPERSION, PSI]),
        nb(MU, MU / (DISPERSION + MU / PSI)),
    ),
    (ConwayMaxwellPoissonFamily(), [np.log(MU), 0.0], stats.poisson(MU)),
    (ConwayMaxwellPoissonFamily(), [np.log(MU), 60.0], stats.geom(1 / (1 + MU), loc=-1)),
    (GeneralizedPoissonFamily(), [np.log(MU), 0.0], stats.poisson(MU)),
]
TRUNCATED = [
    (TruncatedPoissonFamily(), *BASES["poisson"]),
    (TruncatedNegativeBinomial1Family(), *BASES["nb1"]),
    (TruncatedNegativeBinomial2Family(), *BASES["nb2"]),
]
INFLATED = [
    (ZeroInflatedPoissonFamily(), *BASES["poisson"]),
    (ZeroInflatedNB1Family(), *BASES["nb1"]),
    (ZeroInflatedNB2Family(), *BASES["nb2"]),
]
HURDLES = [
    (HurdlePoissonFamily(), *BASES["poisson"]),
    (HurdleNB1Family(), *BASES["nb1"]),
    (HurdleNB2Family(), *BASES["nb2"]),
]


def columns(eta):
    return [np.full(COUNTS.size, value) for value in eta]


def assert_law(family, eta, pmf):
    """Hold density, distribution function, mean and variance against a mass function."""
    eta = columns(eta)
    with np.errstate(all="ignore"):
        density = np.exp(family.log_density(COUNTS, eta))
        derived = np.exp(family.derivatives(COUNTS, eta, 0, ()).value)
    possible = pmf > 0  # derivatives are asked for where the response was accepted
    assert density == pytest.approx(pmf, rel=1e-11, abs=1e-25)
    assert derived[possible] == pytest.approx(pmf[possible], rel=1e-11, abs=1e-25)
    # pmf is as long as the counts; their tail beyond 60 is below 1e-9
    assert family.cdf(COUNTS, eta) == pytest.approx(np.cumsum(pmf), abs=1e-11)
    mean = float(np.sum(COUNTS * pmf))
    assert family.mean(eta)[0] == pytest.approx(mean, rel=1e-6)
    spread = float(np.sum(np.square(COUNTS - mean) * pmf))
    assert family.variance(eta)[0] == pytest.approx(spread, rel=1e-5)


def ids(cases):
    return [f"{case[0].name}-{i}" for i, case in enumerate(cases)]


@pytest.mark.parametrize(("family", "eta", "law"), PLAIN, ids=ids(PLAIN))
def test_plain_family_is_its_textbook_law(family, eta, law):
    assert_law(family, eta, law.pmf(COUNTS))


@pytest.mark.parametrize(("family", "eta", "law"), TRUNCATED, ids=ids(TRUNCATED))
def test_truncated_family_is_the_law_given_a_positive_count(family, eta, law):
    pmf = np.where(COUNTS > 0, law.pmf(COUNTS) / law.sf(0), 0.0)
    assert_law(family, eta, pmf)


@pytest.mark.parametrize(("family", "eta", "law"), INFLATED, ids=ids(INFLATED))
def test_zero_inflated_family_adds_zeros(family, eta, law):
    pmf = PI * (COUNTS == 0) + (1 - PI) * law.pmf(COUNTS)
    assert_law(family, [*eta, np.log(PI / (1 - PI))], pmf)


@pytest.mark.parametrize(("family", "eta", "law"), HURDLES, ids=ids(HURDLES))
def test_hurdle_family_has_zeros_of_one_kind(family, eta, law):
    pmf = np.where(COUNTS > 0, (1 - PI) * law.pmf(COUNTS) / law.sf(0), PI)
    assert_law(family, [*eta, np.log(PI / (1 - PI))], pmf)


@pytest.mark.parametrize("log_phi", [-8.0, -60.0])
def test_conway_maxwell_ends_on_two_neighbouring_counts(log_phi):
    """The mean is solved for to 1e-7 there, where the rate is exp(1 / phi)."""
    density = ConwayMaxwellPoissonFamily().log_density(COUNTS, columns([np.log(MU), log_phi]))
    assert np.exp(density[:5]) == pytest.approx([0.0, 0.0, 0.7, 0.3, 0.0], abs=2e-7)


def test_generalised_poisson_is_the_total_progeny_law():
    """Consul and Jain's mass function in its own parameters, and its variance mu phi."""
    phi = 2.5
    theta, lam = MU / np.sqrt(phi), 1 - 1 / np.sqrt(phi)
    y = np.arange(400.0)
    logs = np.cumsum(np.log(np.maximum(y, 1.0)))
    log_pmf = np.log(theta) + (y - 1) * np.log(theta + lam * y) - theta - lam * y - logs
    eta = [np.full(y.size, np.log(MU)), np.full(y.size, np.log(phi))]
    family = GeneralizedPoissonFamily()
    assert family.log_density(y, eta) == pytest.approx(log_pmf, rel=1e-12)
    pmf = np.exp(log_pmf)
    assert pmf.sum() == pytest.approx(1.0, abs=1e-12)
    assert y @ pmf == pytest.approx(MU, rel=1e-10)
    assert np.square(y - MU) @ pmf == pytest.approx(MU * phi, rel=1e-10)


@pytest.mark.parametrize("phi", [0.3, 0.8, 1.5, 6.0])
@pytest.mark.parametrize("mu", [0.4, 3.0, 70.0])
def test_conway_maxwell_has_its_mean_and_its_shape(mu, phi):
    """log P(y) - log P(y - 1) = log(lambda) - log(y) / phi, with the mean at mu."""
    y = np.arange(1200.0)
    family = ConwayMaxwellPoissonFamily()
    log_p = family.log_density(y, [np.full(y.size, np.log(mu)), np.full(y.size, np.log(phi))])
    pmf = np.exp(log_p)
    assert pmf.sum() == pytest.approx(1.0, abs=1e-11)
    assert y @ pmf == pytest.approx(mu, rel=1e-10)
    kept = y[1:][log_p[1:] > -300.0]
    steps = np.diff(log_p)[: kept.size] + np.log(kept) / phi
    assert steps == pytest.approx(steps[0], abs=1e-10)
