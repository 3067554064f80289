"""Every structure of this distribution, held against the contract."""

import pytest

from interlace_core.testing import ConformanceError, covariance_checks
from interlace_core.testing.covariance_case import CovarianceCase
from interlace_covariances import interlace_covariances

COORDINATES = {"ar1": (0, 1), "hetar1": (0, 1), "ou": (1,), "exp": (1, 2), "gau": (2,), "mat": (2,)}
"""Numbers of coordinates that structures of times and places are tried with."""

CASES = [
    pytest.param(check, id=f"{structure.name}, {coordinates}: {name}")
    for structure in interlace_covariances()
    for coordinates in COORDINATES.get(structure.name, (0,))
    for name, check in covariance_checks(structure, coordinates=coordinates)
]


@pytest.mark.parametrize("check", CASES)
def test_conformance(check):
    check()


def times(method):
    """Return a fault: what a method returns, a tenth larger."""

    def fault(structure):
        usual = getattr(structure, method)
        return type(
            structure.__name__,
            (structure,),
            {"name": "faulty", method: lambda self, *given: 1.1 * usual(self, *given)},
        )

    return fault


FAULTS = {
    "pullback": "pullback matches differences",
    "template": "pullback matches differences",
    "natural": "natural parameters lead back",
    "nearest": "nearest finds its own",
    "canonical": "canonical keeps the covariance",
    "chain_pullback": "a chain is the template",
}
"""A method that answers a tenth too much, and the check that sees it."""


def faulty(structure, method):
    coordinates = COORDINATES.get(structure.name, (0,))[-1]
    checks = dict(covariance_checks(times(method)(structure), sizes=(3,), coordinates=coordinates))
    return checks[FAULTS[method]]


def with_numbers(structure, method):
    """Return whether there is anything to be wrong in it."""
    coordinates = COORDINATES.get(structure.name, (0,))[-1]
    made = CovarianceCase(structure, (3,), coordinates).made(3)
    if method == "chain_pullback":
        return made.chain(made.start()) is not None
    return made.n_theta > 0


@pytest.mark.parametrize(
    ("structure", "method"),
    [
        pytest.param(each, method, id=f"{each.name}: {method}")
        for each in interlace_covariances()
        for method in FAULTS
        if with_numbers(each, method)
    ],
)
def test_a_fault_in_any_structure_is_seen(structure, method):
    with pytest.raises(ConformanceError):
        faulty(structure, method)()
