"""Checks of what a family does with responses: refuses, weighs, starts from and simulates them."""

from __future__ import annotations

import warnings

import numpy as np

from interlace_core.contract.family import Family
from interlace_core.messages.errors import InterlaceError, InterlaceWarning, ResponseError
from interlace_core.records import Array, Response
from interlace_core.testing.family_sample import SEED, FamilyCase, Sample
from interlace_core.testing.verdicts import expect, expect_close, expect_raises

OFFENDING_ROW = 17
"""Where the bad value stands; no other number in a message is likely to be this one."""

TOL_SAME = 1e-11


def check_domain_errors(case: FamilyCase) -> None:
    """Require a ResponseError that names family and row for each kind of impossible value."""
    good = np.repeat(case.support.examples(), OFFENDING_ROW, axis=0)
    for value in case.support.outside():
        raw = good.copy()
        raw[OFFENDING_ROW] = value

        def act(raw: Array = raw) -> Response:
            return case.family.check_response(raw, None)

        error = expect_raises(
            act,
            ResponseError,
            (case.family.name, str(OFFENDING_ROW)),
            f"from check_response() for {value} in row {OFFENDING_ROW}",
        )
        expect(
            error.row == OFFENDING_ROW,
            f"the ResponseError for {value} to carry row={OFFENDING_ROW}",
            f"row={error.row}",
            "Raise ResponseError(message with {row} in it, row): the driver then names the row as "
            "the user does. families.require() does all of this.",
        )


def check_weights(case: FamilyCase) -> None:
    """Require that a row of weight 2 counts as the row twice, in the value and its slope."""
    raw = case.support.examples()
    weights = np.resize([1.0, 2.0, 3.0], raw.shape[0])
    rows = np.repeat(np.arange(raw.shape[0]), weights.astype(np.intp))
    eta = case.sample_of(raw).eta
    weighted = _log_likelihood(case.family, case.family.check_response(raw.copy(), weights), eta)
    repeated = _log_likelihood(
        case.family, case.family.check_response(raw[rows], None), eta[:, rows]
    )
    expect_close(
        weighted,
        repeated,
        what="log-likelihood and score with weights 1, 2, 3, those of repeated rows,",
        tol=TOL_SAME,
        scale=1.0 + np.abs(repeated),
        advice="check_response() must return the weights; by default they multiply the "
        "log-density of their row.",
    )


def check_start(case: FamilyCase) -> None:
    """Require finite constants without a warning, also for a response that does not vary."""
    responses = {"varied responses": case.support.examples()}
    responses |= {f"all responses {x}": np.stack([x] * 4) for x in case.support.alike()}
    for what, raw in responses.items():
        for weights in (None, np.linspace(1.0, 2.0, raw.shape[0])):
            with warnings.catch_warnings():
                warnings.simplefilter("error", RuntimeWarning)
                warnings.simplefilter("ignore", InterlaceWarning)
                try:
                    family, y = case.bound(raw)
                except InterlaceError:
                    continue  # a response that does not vary may be refused in words
                start = np.asarray(family.start(y, weights))
            expect(
                start.shape == (len(family.parameters),) and bool(np.all(np.isfinite(start))),
                f"start() to give a finite constant per parameter for {what}",
                start,
                "Keep averages away from the ends of the link's domain.",
            )
            low, high = np.transpose([case.domain(family, k) for k in range(start.size)])
            expect(
                bool(np.all((start > low) & (start < high))),
                f"start() inside of the predictors' domains for {what}",
                start,
                "Start where the density is defined.",
            )


def check_simulated(case: FamilyCase) -> None:
    """Require draws that are responses: in the support, float64, the same for the same seed."""
    sample = case.sample
    first, second, other = (_simulate(sample, seed) for seed in (SEED, SEED, SEED + 1))
    expect(
        first.shape == sample.y.shape and first.dtype == np.float64,
        f"simulate() to return float64 of shape {sample.y.shape}, as check_response does",
        f"{first.dtype} of shape {first.shape}",
        "Return y in the form that log_density takes.",
    )
    same = np.array_equal(first, second) and not np.array_equal(first, other)
    expect(same, "draws that depend on rng alone", "others", "Draw from the rng that is given.")
    density = Sample(sample.family, first, sample.eta).log_density()
    expect(
        bool(np.all(np.isfinite(density))),
        "draws that have a density",
        f"log-density {density[~np.isfinite(density)][:3]} at {first[~np.isfinite(density)][:3]}",
        "simulate() and log_density() disagree about the support.",
    )


def _simulate(sample: Sample, seed: int) -> Array:
    return np.asarray(sample.family.simulate(sample.copies()[1], np.random.default_rng(seed)))


def _log_likelihood(family: Family, response: Response, eta: Array) -> Array:
    """Return the weighted log-likelihood and its slope in each predictor, shape (1 + K,)."""
    sample = Sample(family.bind(response.y), response.y, eta)
    got = sample.derivatives(1, sample.every)
    rows = [got.value, *(got.partials.get((k,), np.zeros_like(got.value)) for k in sample.every)]
    weights = np.ones(eta.shape[1]) if response.weights is None else response.weights
    return np.array([np.sum(weights * row) for row in rows])
