"""Matern's correlations of many places: by interpolation along the distances, as one by one."""

import pickle

import numpy as np
import pytest

from interlace_covariances.along_distances import AlongDistances
from interlace_covariances.places import SMOOTHNESS, Matern, _matern

RNG = np.random.default_rng(8)
FIELDS = {
    "spread": RNG.uniform(0.0, 10.0, size=(150, 2)),
    "clustered": np.concatenate([RNG.normal(size=(75, 2)), 1e3 + 1e-3 * RNG.normal(size=(75, 2))]),
    "grid": np.stack(np.meshgrid(np.arange(12.0), np.arange(11.0)), axis=-1).reshape(-1, 2),
}


@pytest.mark.parametrize("smoothness", [0.04, 0.5, 1.0, 2.3, 8.0, 55.0])
@pytest.mark.parametrize("share", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("field", FIELDS)
def test_correlations_are_those_of_each_distance(field, share, smoothness):
    structure = Matern(len(FIELDS[field]), FIELDS[field])
    assert isinstance(structure._pairs, AlongDistances)
    length = share * float(np.max(structure.distances))
    angles = np.concatenate(
        [
            structure.scale.checked_angle(np.array([length])),
            SMOOTHNESS.angle(np.array([smoothness])),
        ]
    )
    nu = float(SMOOTHNESS.range(angles[1:])[0])
    direct = _matern(structure.distances / structure.scale.range(angles[:1])[0], nu)
    assert structure.kernel(angles) == pytest.approx(direct, abs=2e-12)
    for k, slope in enumerate(structure.kernel_slopes(angles)):
        step = 1e-5 * np.eye(2)[k]
        change = (structure.kernel(angles + step) - structure.kernel(angles - step)) / 2e-5
        assert slope == pytest.approx(change, abs=2e-6 * max(1.0, np.max(np.abs(slope))))


def test_few_places_are_taken_one_by_one():
    assert Matern(20, FIELDS["spread"][:20])._pairs is None


def test_what_is_made_of_the_distances_is_not_pickled():
    structure = Matern(150, FIELDS["spread"])
    angles = structure.start_angles
    before = structure.kernel(angles)
    again = pickle.loads(pickle.dumps(structure))
    assert "_pairs" not in vars(again)
    assert np.array_equal(again.kernel(angles), before)
