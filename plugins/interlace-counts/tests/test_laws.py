"""Densities, distribution functions and moments of all count families against scipy.stats."""

import numpy as np
import pytest
from scipy import optimize, special, stats

from interlace_core.contract import OptionError
from interlace_counts.conway_maxwell import ConwayMaxwellPoissonFamily
from interlace_counts.generalized_poisson import GeneralizedPoissonFamily
from interlace_counts.hurdle import (
    HurdleConwayMaxwellPoissonFamily,
    HurdleGeneralizedPoissonFamily,
    HurdleNB1Family,
    HurdleNB2Family,
    HurdlePoissonFamily,
)
from interlace_counts.negative_binomial import NegativeBinomial2Family
from interlace_counts.negative_binomial1 import NegativeBinomial1Family
from interlace_counts.negative_binomial12 import NegativeBinomial12Family
from interlace_counts.truncated import (
    TruncatedConwayMaxwellPoissonFamily,
    TruncatedGeneralizedPoissonFamily,
    TruncatedNegativeBinomial1Family,
    TruncatedNegativeBinomial2Family,
    TruncatedPoissonFamily,
)
from interlace_counts.zero_inflated import (
    ZeroInflatedConwayMaxwellPoissonFamily,
    ZeroInflatedGeneralizedPoissonFamily,
    ZeroInflatedNB1Family,
    ZeroInflatedNB2Family,
    ZeroInflatedPoissonFamily,
)
from interlace_counts.zeros.compositions import Hurdle, ZeroInflated
from interlace_counts.zeros.truncated import ZeroTruncated

MU, DISPERSION, PI = 2.3, 1.7, 0.3
PSI = 4.0
COUNTS = np.arange(60.0)


def nb(mu, size):
    return stats.nbinom(size, size / (size + mu))


BASES = {
    "poisson": ([np.log(MU)], stats.poisson(MU)),
    "nb1": ([np.log(MU), np.log(DISPERSION)], nb(MU, MU / DISPERSION)),
    "nb2": ([np.log(MU), np.log(DISPERSION)], nb(MU, DISPERSION)),
    "genpois": ([np.log(MU), 0.0], stats.poisson(MU)),
    "compois": ([np.log(MU), 60.0], stats.geom(1 / (1 + MU), loc=-1)),
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
    (TruncatedGeneralizedPoissonFamily(), *BASES["genpois"]),
    (TruncatedConwayMaxwellPoissonFamily(), *BASES["compois"]),
]
INFLATED = [
    (ZeroInflatedPoissonFamily(), *BASES["poisson"]),
    (ZeroInflatedNB1Family(), *BASES["nb1"]),
    (ZeroInflatedNB2Family(), *BASES["nb2"]),
    (ZeroInflatedGeneralizedPoissonFamily(), *BASES["genpois"]),
    (ZeroInflatedConwayMaxwellPoissonFamily(), *BASES["compois"]),
]
HURDLES = [
    (HurdlePoissonFamily(), *BASES["poisson"]),
    (HurdleNB1Family(), *BASES["nb1"]),
    (HurdleNB2Family(), *BASES["nb2"]),
    (HurdleGeneralizedPoissonFamily(), *BASES["genpois"]),
    (HurdleConwayMaxwellPoissonFamily(), *BASES["compois"]),
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


@pytest.mark.parametrize("log_mu", [-700.0, -30.0, -3.0, 1.0])
@pytest.mark.parametrize("phi", [0.5, 3.0])
def test_truncated_conway_maxwell_keeps_its_digits_where_all_are_zero(log_mu, phi):
    """Its positive part is lambda^y / (y!)^nu with lambda about mu: 1 alone as mu vanishes."""
    y, nu = np.arange(1.0, 200.0), 1.0 / phi
    logs = np.cumsum(np.log(y))

    def mean_of(log_lambda):  # with its sum, from 0 on
        terms = np.exp(y * log_lambda - nu * logs)
        return y @ terms / (1.0 + terms.sum())

    if log_mu < -20.0:
        log_lambda = log_mu  # to exp(-20)
    else:
        log_lambda = optimize.brentq(lambda x: mean_of(x) - np.exp(log_mu), -20.0, 3.0, xtol=1e-14)
    log_p = y * log_lambda - nu * logs
    log_p -= special.logsumexp(log_p)
    family = TruncatedConwayMaxwellPoissonFamily()
    eta = [np.full(y.size, log_mu), np.full(y.size, np.log(phi))]
    got = family.log_density(y, eta)
    assert got[:4] == pytest.approx(log_p[:4], rel=1e-9, abs=1e-9)
    slopes = family.derivatives(y, eta, 1, (0,)).get(0)
    step = 1e-4
    ends = [family.log_density(y, [eta[0] + s, eta[1]]) for s in (step, -step)]
    assert slopes[:4] == pytest.approx((ends[0] - ends[1])[:4] / (2 * step), abs=1e-6)


@pytest.mark.parametrize("log_mu", [-40.0, -700.0])
def test_truncated_generalised_poisson_ends_at_borel(log_mu):
    """P(y) = exp(-lambda y) (lambda y)^(y - 1) / y!, the law of its limit's name."""
    y, phi = np.arange(1.0, 8.0), 2.5
    lam = 1.0 - 1.0 / np.sqrt(phi)
    borel = -lam * y + (y - 1.0) * np.log(lam * y) - special.gammaln(y + 1.0)
    eta = [np.full(y.size, log_mu), np.full(y.size, np.log(phi))]
    assert TruncatedGeneralizedPoissonFamily().log_density(y, eta) == pytest.approx(
        borel, rel=1e-12
    )


@pytest.mark.parametrize(
    ("named", "composed"),
    [
        (HurdleNB2Family(), Hurdle(NegativeBinomial2Family())),
        (HurdleNB1Family(alpha=0.7), Hurdle(NegativeBinomial1Family(alpha=0.7))),
        (TruncatedNegativeBinomial2Family(), ZeroTruncated(NegativeBinomial2Family())),
        (ZeroInflatedNB2Family(), ZeroInflated(NegativeBinomial2Family())),
    ],
)
def test_families_with_a_name_have_the_parameters_of_the_composition(named, composed):
    assert [repr(each) for each in named.parameters] == [repr(each) for each in composed.parameters]
    mean = named.parameters[0]
    is_limit = "logarithmic series" in mean.at_lower
    assert is_limit == (not isinstance(named, ZeroInflatedNB2Family))


@pytest.mark.parametrize("head", [HurdleNB2Family, TruncatedNegativeBinomial2Family])
def test_the_parameter_of_the_counts_is_checked_in_the_name_of_the_whole(head):
    with pytest.raises(OptionError, match=f"family '{head.name}': theta"):
        head(theta=-1.0)
