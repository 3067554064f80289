"""Check of the forms that say along which directions of its predictors a row never falls."""

from __future__ import annotations

import numpy as np

from interlace_core.records import Array, BoolArray, IntArray
from interlace_core.testing.family_sample import SEED, FamilyCase, Sample
from interlace_core.testing.verdicts import expect

DIRECTIONS = 12
"""Random directions that each row is moved along."""

LENGTHS = (1.0, 4.0, 16.0, 64.0)
"""How far, in units of eta."""

FAR = 1e4
"""How far a direction in which a form falls by 1 is followed until the row has fallen, too: with
the heaviest tail in use, log(1 / FAR), by more than a row's whole log-density near 0."""

TOL_ABS_RISE = 1e-9
"""Rounding of a log-density that no longer changes."""

ADVICE = (
    "recession_forms() gives, for each row, linear forms of its predictors of which none may fall "
    "if the row's log-density is not to fall; rows without forms do not depend on any predictor."
)


def check_forms(case: FamilyCase) -> None:
    """Require that a row falls along a direction in the end exactly if one of its forms does."""
    sample = case.sample
    given = sample.family.recession_forms(sample.y.copy())
    assert given is not None
    rows, forms = given
    n, K = sample.eta.shape[1], sample.eta.shape[0]
    well_formed = rows.shape == forms.shape[:1] and forms.shape[1:] == (K,)
    expect(
        bool(well_formed),
        f"forms of shape (m, {K}) and m rows from recession_forms()",
        f"{forms.shape} and {rows.shape}",
        ADVICE,
    )
    rng = np.random.default_rng(SEED)
    moves = np.any(forms != 0.0, axis=0)
    expect(bool(moves[0]), "forms that depend on the mean's predictor", "none", ADVICE)
    start = sample.log_density()
    for _ in range(DIRECTIONS):
        # whole numbers, so that forms of whole numbers are 0 where they ought to be
        direction = np.round(3.0 * rng.normal(size=(K, n))) * moves[:, None]
        least = _least_form(rows, forms, direction)
        _expect_no_fall(sample, start, direction, least >= 0.0)
        falling = least < 0.0
        length = FAR / np.where(falling, -least, 1.0)
        with np.errstate(over="ignore"):
            end = _moved(sample, direction * length)
        _expect_rows(
            sample,
            falling & ~(end < start),
            "a log-density that falls in the end along a direction in which a form does",
        )


def _least_form(rows: IntArray, forms: Array, direction: Array) -> Array:
    """Return the smallest form of each row along its direction, shape (n,); 0 if it has none."""
    least = np.full(direction.shape[1], np.inf)
    np.minimum.at(least, rows, np.einsum("mk,km->m", forms, direction[:, rows]))
    return np.where(np.isinf(least), 0.0, least)


def _expect_no_fall(sample: Sample, start: Array, direction: Array, open_rows: BoolArray) -> None:
    before = start
    for length in LENGTHS:
        value = _moved(sample, direction * length)
        fell = value < before - TOL_ABS_RISE * (1.0 + np.abs(before))
        _expect_rows(
            sample,
            fell & open_rows,
            "a log-density that does not fall along a direction in which no form does",
        )
        before = value


def _expect_rows(sample: Sample, bad: BoolArray, wanted: str) -> None:
    found = np.flatnonzero(bad)
    first = sample.describe((int(found[0]),)) if found.size else ""
    expect(not found.size, wanted, f"another in {found.size} rows, first at {first}", ADVICE)


def _moved(sample: Sample, by: Array) -> Array:
    return Sample(sample.family, sample.y, sample.eta + by).log_density()
