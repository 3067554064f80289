"""The conformance checks of compiled rows: the numbers of NumPy, slot by slot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np

from interlace_core.contract.family import Family
from interlace_core.contract.kernels import Kernels
from interlace_core.engine.compiled import CompiledRows, Key, all_keys
from interlace_core.records import Array, BoolArray, Derivatives, RowKernel
from interlace_core.testing.family_extremes import HOPELESS
from interlace_core.testing.family_sample import FamilyCase, Range, Sample
from interlace_core.testing.kernel_sums import check_climb, check_information, check_sums
from interlace_core.testing.supports import Support, as_support
from interlace_core.testing.verdicts import Checks, build, collect, expect, shown

COUNTS = (0, 1, 3, 50, 999, 1000, 1001, 5000, 1e5, 1e6, 1e8, 1e9)
"""Counts beyond those that families are checked with: on both sides of where log y! is too large
to be subtracted, and the largest that any data hold."""

SWEEP = 10_007
"""Values of a predictor over 40 units, 0.004 apart; a prime, so that each meets every response."""

TOL_REL = 1e-10
"""Agreement with `derivatives`, of the derivative itself."""

TOL_OF_ROW = 1e-11
"""And of the largest derivative of its row: what cancels in one slot is rounded in another."""

ADVICE = (
    "Write it as the family does: the same bounds on exponents, the same limits, and no difference "
    "of numbers that are larger than what is left of them."
)


def kernel_checks(
    kernels: Kernels | type[Kernels],
    family: Family | type[Family],
    *,
    support: str | Support | None = None,
    ranges: Mapping[str, Range] | None = None,
    domains: Mapping[str, Range] | None = None,
    extreme_etas: Sequence[float] = (5.0, 12.0, 40.0, 800.0),
    expected_failures: Mapping[str, str] | None = None,
) -> Checks:
    """Return the checks of a family's compiled rows as pairs of name and callable.

    Every slot is held against `family.derivatives`, for predictors far out and for counts up to
    1e9. Where no library was built there is nothing to check, and no pairs.

    Parameters
    ----------
    kernels : Kernels or its class
        Whose `rows` serve the family.
    family : Family or its class
    support, ranges, domains, expected_failures
        As for `family_checks`.
    extreme_etas : sequence of float
        Sizes of the predictors that a search may try on its way.
    """
    offered, instance = build(kernels), build(family)
    case = FamilyCase(
        instance, as_support(support, instance), ranges or {}, domains or {}, extreme_etas
    )
    if not offered.build:
        return collect(shown(offered), {}, None)
    checks = {
        "every slot is that of derivatives": partial(_check_moderate, offered, case),
        "slots along each predictor": partial(_check_sweep, offered, case),
        "slots at extremes of eta": partial(_check_extremes, offered, case),
        "slots of large counts": partial(_check_counts, offered, case),
        "a slot is the same alone": partial(_check_alone, offered, case),
        "blocks change nothing": partial(_check_blocks, offered, case),
        "constant predictors change nothing": partial(_check_constant, offered, case),
        "rows of several responses": partial(_check_several, offered, case),
    }
    if type(offered).slopes is not Kernels.slopes:
        checks["sums are those of the rows"] = partial(_check_sums, offered, case)
        checks["a climb ends where the slope does"] = partial(_check_climb, offered, case)
    if type(offered).objective is not Kernels.objective:
        checks["information at the mode"] = partial(_check_information, offered, case)
    return collect(f"{shown(offered)}, {shown(instance)}", checks, expected_failures)


@dataclass(frozen=True)
class _Rows:
    """A sample with its compiled rows."""

    sample: Sample
    compiled: CompiledRows

    @classmethod
    def of(cls, kernels: Kernels, sample: Sample) -> _Rows:
        made = kernels.rows(sample.family, sample.y.copy())
        expect(
            made is not None and made.abi == RowKernel.abi,
            f"compiled rows of convention {RowKernel.abi} for {sample.family!r}",
            repr(made),
            "Return a RowKernel for every family that `families` names, or do not name it.",
        )
        assert made is not None
        return cls(sample, CompiledRows(made, kernels.name, len(sample.eta)))

    def got(self, keys: Sequence[Key], rows: slice = slice(None)) -> Derivatives:
        found = self.compiled.derivatives(rows, [each[rows] for each in self.sample.eta], keys)
        expect(
            found is not None,
            f"slots {list(keys)}",
            "the answer that they are not offered",
            "Offer every slot, so that any effect can be on any predictor.",
        )
        assert found is not None
        return found


def _check_moderate(kernels: Kernels, case: FamilyCase) -> None:
    _agree(kernels, case.sample)


def _check_sweep(kernels: Kernels, case: FamilyCase) -> None:
    """Compare at many values of each predictor, so that no seam between two forms is missed."""
    examples = case.support.examples()
    raw = np.resize(examples, (SWEEP, *examples.shape[1:]))
    sample = case.sample_of(raw)
    for k in sample.every:
        eta = sample.eta.copy()
        eta[k] = np.linspace(-20.0, 20.0, SWEEP)
        _agree(kernels, Sample(sample.family, sample.y, eta))


def _check_extremes(kernels: Kernels, case: FamilyCase) -> None:
    for sample in _extremes(case, case.sample):
        _agree(kernels, sample)


def _check_counts(kernels: Kernels, case: FamilyCase) -> None:
    """Compare with large counts, near their mean and far from it."""
    raw = _large(case.support)
    if raw is None:
        return
    sample = case.sample_of(np.repeat(raw, 3, axis=0))
    _agree(kernels, sample)
    rng = np.random.default_rng(1)
    if sample.y.ndim == 1:
        for spread in (0.1, 1.0 / np.sqrt(sample.y + 1.0)):
            eta = sample.eta.copy()
            eta[0] = np.log(np.maximum(sample.y, 0.5)) + spread * rng.normal(size=len(sample.y))
            _agree(kernels, Sample(sample.family, sample.y, eta))
    for far in _extremes(case, sample):
        _agree(kernels, far)


def _check_alone(kernels: Kernels, case: FamilyCase) -> None:
    """Compare each slot asked for alone with all together."""
    rows = _Rows.of(kernels, case.sample)
    keys = all_keys(3, case.sample.every)
    together = rows.got(keys)
    for key in keys:
        _expect_close(case.sample, rows.got([key]).partials[key], together, key, "asked for alone")


def _check_blocks(kernels: Kernels, case: FamilyCase) -> None:
    """Compare rows one by one with all together."""
    rows = _Rows.of(kernels, case.sample)
    keys = all_keys(3, case.sample.every)
    together = rows.got(keys)
    each = [rows.got(keys, slice(i, i + 1)) for i in range(len(case.sample.y))]
    for key in ((), *keys):
        one = np.concatenate([np.atleast_1d(_slot(part, key)) for part in each])
        _expect_close(case.sample, one, together, key, "of a row by itself")


def _check_constant(kernels: Kernels, case: FamilyCase) -> None:
    """Compare with predictors that are the same in all rows, which a kernel may make use of."""
    for k in case.sample.every:
        eta = case.sample.eta.copy()
        eta[k] = eta[k, 0]
        _agree(kernels, Sample(case.sample.family, case.sample.y, eta))


def _check_sums(kernels: Kernels, case: FamilyCase) -> None:
    check_sums(kernels, case.sample)


def _check_climb(kernels: Kernels, case: FamilyCase) -> None:
    check_climb(kernels, case.sample)


def _check_information(kernels: Kernels, case: FamilyCase) -> None:
    check_information(kernels, case.sample)


def _check_several(kernels: Kernels, case: FamilyCase) -> None:
    """Require of several responses, one after the other, what is asked of each by itself."""
    family, y = case.sample.family, case.sample.y
    each = [kernels.rows(family.bind_part(part), part) for part in (y, y[::-1].copy())]
    both = np.concatenate([y, y[::-1]])
    together = kernels.rows(family.bind_part(both), both)
    assert together is not None and each[0] is not None and each[1] is not None
    columns = np.concatenate([part.columns for part in each if part is not None])
    expect(
        np.array_equal(together.columns, columns),
        "the columns of each response, one after the other",
        "others",
        "What a row's columns hold depends on its row alone: refits take many responses at once.",
    )


def _agree(kernels: Kernels, sample: Sample) -> None:
    keys = all_keys(3, sample.every)
    got, wanted = _Rows.of(kernels, sample).got(keys), sample.derivatives(3, sample.every)
    for key in ((), *keys):
        _expect_close(sample, _slot(got, key), wanted, key, "")


def _expect_close(sample: Sample, got: Array, reference: Derivatives, key: Key, how: str) -> None:
    wanted, n = np.broadcast_to(_slot(reference, key), got.shape), len(sample.y)
    hopeful = _hopeful(reference.value)
    lost = ~hopeful & np.isfinite(got) & (got > -HOPELESS) if key == () else np.zeros(n, bool)
    compared = hopeful & np.isfinite(wanted)
    tolerance = TOL_REL * np.abs(wanted) + TOL_OF_ROW * _size(reference, sample)
    with np.errstate(invalid="ignore"):
        off = np.where(compared, ~(np.abs(got - wanted) <= tolerance), lost)
    worst = np.flatnonzero(off)
    expect(
        worst.size == 0,
        f"slot {key} {how}, as NumPy has it",
        "".join(f"{got[i]!r}, not {wanted[i]!r}, at {sample.describe((i,))}" for i in worst[:1]),
        ADVICE,
    )


def _hopeful(value: Array) -> BoolArray:
    """Return where the density is worth agreeing on: not 0, and no signal to turn back."""
    return np.asarray(np.isfinite(value) & (np.abs(value) < HOPELESS))


def _slot(found: Derivatives, key: Key) -> Array:
    if key == ():
        return found.value
    return found.partials.get(key, np.zeros_like(found.value))


def _size(found: Derivatives, sample: Sample) -> Array:
    """Return the largest derivative of each row, at least 1, shape (n,)."""
    size = 1.0 + np.where(np.isfinite(found.value), np.abs(found.value), 0.0)
    for key in all_keys(3, sample.every):
        part = np.abs(_slot(found, key))
        size = np.maximum(size, np.where(np.isfinite(part), part, 0.0))
    return np.asarray(size)


def _extremes(case: FamilyCase, sample: Sample) -> Iterator[Sample]:
    """Yield the sample with predictors far out, one at a time and the first two together."""
    signed = [s * size for size in case.extremes for s in (1.0, -1.0)]
    for k, far in product(sample.every, signed):
        yield _moved(sample, {k: far})
    if len(sample.every) > 1:
        for first, second in product(signed[-4:], repeat=2):
            yield _moved(sample, {0: first, 1: second})


def _moved(sample: Sample, predictors: Mapping[int, float]) -> Sample:
    eta = sample.eta.copy()
    for k, far in predictors.items():
        eta[k] = far
    return Sample(sample.family, sample.y, eta)


def _large(support: Support) -> Array | None:
    """Return large counts, or pairs of them; None for a support without."""
    if support.trials is not None:
        pairs = [(0, 1e9), (1e9, 0), (5e8, 5e8), (3, 1e6), (1e6, 4), (2000, 30_000), (500, 600)]
        return np.array(pairs, dtype=np.float64)
    if support.counts_from is None:
        return None
    return np.asarray(support.counts_from + np.array(COUNTS, dtype=np.float64))
