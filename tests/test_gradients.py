"""The exact gradient for every installed family, structure and approximation.

The conformance of each part is tested where it lives; here the combinations are, for whatever
families are installed, with responses simulated by the family itself.
"""

import numpy as np
import pytest
from models import random_problem

from interlace_core.messages.errors import UnsupportedModelError
from interlace_core.records import Response, Status
from interlace_core.registry.registry import default_registry

STRUCTURES = {
    "scalar": dict(groups=[(16, 1)]),
    "slopes": dict(groups=[(16, 2)]),
    "crossed": dict(groups=[(20, 1), (6, 1)]),
    "nested": dict(groups=[(24, 1), (8, 2)], nested=True),
    "weights": dict(groups=[(16, 1)], weights=True),
}
FAMILIES = {each.name: each.cls for each in default_registry().classes("family")}
APPROXIMATIONS = {each.name: each.cls for each in default_registry().classes("approximation")}
STEP = 1e-4
REL_ERROR = 1e-6


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("approximation", APPROXIMATIONS)
@pytest.mark.parametrize("structure", STRUCTURES)
def test_gradient_matches_differences(family, approximation, structure):
    problem, psi = simulated_problem(FAMILIES[family](), STRUCTURES[structure])
    method = APPROXIMATIONS[approximation]()
    try:
        method.check(problem)
    except UnsupportedModelError:
        pytest.skip("refused by name")
    objective = method.objective(problem)
    free = np.setdiff1d(np.arange(psi.size), np.arange(psi.size)[method.profiled(problem)])
    here = objective(psi)
    if free.size < psi.size and here.status is not Status.OK:
        pytest.skip("no joint mode: the density is not concave here")
    assert here.status is Status.OK
    gradient = here.gradient[free]
    differences = np.array([difference(objective, psi, i) for i in free])
    assert np.abs(gradient - differences).max() <= REL_ERROR * np.abs(gradient).max()


def difference(objective, psi, i):
    """Return a central difference of fourth order: its error is STEP^4."""
    h = np.zeros(psi.size)
    h[i] = STEP
    near = objective(psi + h).value - objective(psi - h).value
    far = objective(psi + 2 * h).value - objective(psi - 2 * h).value
    return (8.0 * near - far) / (12.0 * STEP)


def simulated_problem(family, structure):
    """Return a problem whose response the family drew at moderate predictors, and a psi."""
    from dataclasses import replace

    plain = random_problem(family=family, **structure)
    trial = np.column_stack([np.zeros(plain.n), np.full(plain.n, 6.0)])
    bound = family.bind(trial) if "pair" in family.response_forms else family
    rng = np.random.default_rng(2)
    psi = np.concatenate(
        [0.7 * term.covariance.start() for term in plain.terms] + [np.zeros(plain.n_beta)]
    )
    psi += 0.05 * rng.normal(size=psi.size)
    y = bound.simulate(plain.fixed_part(psi), rng)
    checked = Response(y) if y.ndim == 2 else family.check_response(y, plain.weights)
    problem = replace(plain, y=checked.y, weights=plain.weights, family=family.bind(checked.y))
    return problem, psi
