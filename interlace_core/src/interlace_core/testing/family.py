"""The conformance checks of a family."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from interlace_core.contract.composition import Composition
from interlace_core.contract.family import Family
from interlace_core.testing import family_arrays as arrays
from interlace_core.testing import family_concavity as concavity
from interlace_core.testing import family_derivatives as derivatives
from interlace_core.testing import family_extremes as extremes
from interlace_core.testing import family_form as form
from interlace_core.testing import family_law as law
from interlace_core.testing import family_links as links
from interlace_core.testing import family_recession as recession
from interlace_core.testing import family_response as response
from interlace_core.testing.family_sample import FamilyCase, Range
from interlace_core.testing.supports import Support, as_support
from interlace_core.testing.verdicts import Checks, build, collect, shown


def family_checks(
    family: Family | type[Family],
    *,
    support: str | Support | None = None,
    ranges: Mapping[str, Range] | None = None,
    domains: Mapping[str, Range] | None = None,
    extreme_etas: Sequence[float] = (40.0, 800.0),
    tol_rel_derivatives: float = 1e-10,
    draws: int = 20_000,
    expected_failures: Mapping[str, str] | None = None,
) -> Checks:
    """Return the checks of a family as pairs of name and callable.

    What a family does not offer (`cdf`, `simulate`, `variance`) is not checked.

    Parameters
    ----------
    family : Family or its class
        An instance, to check other links or fixed parameters than the default.
    support : str or Support, optional
        Where the response lies; by default what `family.support` declares. By name: `counts`,
        `positive counts`, `real`, `positive`, `non-negative`, `unit interval`,
        `closed unit interval`, `real with 0`, `unit interval with 0`, `unit interval with 1`,
        `trials` (pairs of successes and failures), `categories`.
    ranges : mapping from parameter names to (float, float), optional
        Moderate values of a linear predictor, where the default does not suit: moments exist,
        densities are integrable up to the ends of the support.
    domains : mapping from parameter names to (float, float), optional
        Open interval of a linear predictor in which the density is defined, where that is not
        the link's: (0, inf) for the mean of counts with identity link.
    extreme_etas : sequence of float
        Sizes of the predictors that a search may try on its way.
    tol_rel_derivatives : float
        Agreement of `derivatives` with jets, relative to the size of density and derivatives.
    draws : int
        Simulated responses per point; errors are held against five standard errors.
    expected_failures : mapping from check names to reasons, optional
        Such a check passes if it fails, and fails if it passes.

    Raises
    ------
    OptionError
        If the support is not known, or an expected failure names no check or has no reason.

    Examples
    --------
    The whole test file of a plugin::

        @pytest.mark.parametrize("name, check", family_checks(MyFamily, support="counts"))
        def test_conformance(name, check):
            check()
    """
    instance: Family = build(family)
    case = FamilyCase(
        instance,
        as_support(support, instance),
        ranges or {},
        domains or {},
        extreme_etas,
        tol_rel_derivatives,
        draws,
    )
    return collect(shown(instance), _applicable(case), expected_failures)


def _applicable(case: FamilyCase) -> dict[str, Callable[[], None]]:
    family = case.family
    own = {method for method in arrays.OPTIONAL if arrays.offers(family, method)}
    checks = dict(_ALWAYS)
    if isinstance(family, Composition):  # which is not looked up by name
        del checks["is built without arguments"]
        checks["is made of its parts again"] = form.check_made_again
    if case.support.outside().size:
        checks["domain errors name the row"] = response.check_domain_errors
    if "pair" not in family.response_forms:
        checks["weights equal repeated rows"] = response.check_weights
    if "variance" in own:
        checks["variance is that of the density"] = law.check_variance
    if "simulate" in own:
        checks["simulated responses are responses"] = response.check_simulated
        checks["simulated moments are those of the density"] = law.check_simulated_moments
    if "cdf" in own:
        checks["cdf is a probability"] = law.check_cdf_range
        checks["cdf is that of the density"] = law.check_cdf
    if "recession_forms" in own:
        checks["recession forms are those of the density"] = recession.check_forms
    return {name: partial(check, case) for name, check in checks.items()}


_ALWAYS: dict[str, Callable[[FamilyCase], None]] = {
    "parameters are well formed": form.check_parameters,
    "capabilities are true or false": form.check_capabilities,
    "further answers are well formed": form.check_answers,
    "is built without arguments": form.check_built_without_arguments,
    "links can be asked for": form.check_links_offered,
    "fixed parameters": form.check_fixed,
    "links and their inverses": links.check_links,
    "link derivatives": links.check_link_derivatives,
    "natural parameters": links.check_natural,
    "can be pickled": form.check_pickle,
    "bind keeps the density": form.check_bind,
    "parts are bound as the whole": form.check_bind_part,
    "start is finite": response.check_start,
    "inputs stay as they are": arrays.check_inputs,
    "shapes and precision": arrays.check_shapes,
    "derivatives match jets": derivatives.check_jets,
    "derivatives match differences": derivatives.check_differences,
    "derivatives are those asked for": derivatives.check_requested,
    "log-concavity is real": concavity.check_concavity,
    "values at extremes of eta": extremes.check_values,
    "branches at extremes of eta": extremes.check_branches,
    "log-probabilities are at most 0": extremes.check_probabilities,
    "density sums to one": law.check_total,
    "mean is that of the density": law.check_mean,
}
