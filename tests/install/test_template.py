"""The template's wheel beside interlace's in an empty environment: found, used, gone."""

import pytest
from environments import Environment, for_users

USE = """
import numpy as np, pandas as pd, interlace
from scipy.stats import kstest, norm

rng = np.random.default_rng(0)
g = np.repeat(np.arange(40), 15)
x = rng.normal(size=g.size)
mean = 1.0 + 0.5 * x + rng.normal(0.0, 0.7, size=40)[g]
data = pd.DataFrame({"y": rng.gumbel(mean - np.euler_gamma * 0.8, 0.8), "x": x, "g": g})
model = interlace.glmer("y ~ x + (1 | g)", data, "gumbel")
assert model.converged
for name, truth in [("Intercept", 1.0), ("x", 0.5)]:
    assert 0.01 < model.fe_bse[name] < 0.3
    assert abs(model.fe_params[name] - truth) < 4 * model.fe_bse[name]
assert abs(float(model.family_params.loc["sigma"].iloc[0]) - 0.8) < 0.1, model.family_params
new = pd.DataFrame({"x": [0.0, 1.0], "g": [0, 999]})
steps = np.diff(model.predict(new, include_re=False))
assert abs(steps[0] - model.fe_params["x"]) < 1e-9
draws = model.family.simulate(model.eta, rng)
assert abs(draws.mean() - model.y.mean()) < 0.2
residuals = norm.ppf(model.family.cdf(model.y, model.eta))
assert kstest(residuals, "norm").pvalue > 0.001
by_points = interlace.glmer("y ~ x + (1 | g)", data, "gumbel", nAGQ=7)
assert by_points.converged
print("used")
"""

USE_OF_PLACES = """
import numpy as np, pandas as pd, interlace

rng = np.random.default_rng(1)
places = rng.uniform(0.0, 10.0, size=(40, 2))
apart = np.linalg.norm(places[:, None] - places[None], axis=-1)
root = np.linalg.cholesky(0.64 / (1.0 + (apart / 2.0) ** 2) + 1e-10 * np.eye(40))
effects = (root @ rng.normal(size=(40, 6))).T.ravel()
at, region = np.tile(places, (6, 1)), np.repeat(list("abcdef"), 40)
data = pd.DataFrame({"x": at[:, 0], "y": at[:, 1], "region": region})
data["count"] = rng.poisson(np.exp(0.5 + effects))
model = interlace.glmer("count ~ 1 + slow_decay(0 + x + y | region)", data, "poisson")
assert model.converged
limits = model.confint(level=0.99)
assert limits.loc["range | region", "lower"] < 2.0 < limits.loc["range | region", "upper"], limits
assert abs(limits.loc["sd | region", "estimate"] - 0.8) < 0.25, limits
print("used")
"""

MISS = """
import interlace
from interlace_core.messages.errors import UnknownNameError
try:
    interlace.glmer("y ~ 1 + (1 | g)", {"y": [1.0, 2.0], "g": [0, 1]}, "gumbel")
except UnknownNameError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory, wheels):
    made = Environment.make(tmp_path_factory.mktemp("template"))
    made.install(*wheels)
    return made


def test_the_template_is_found_used_and_missed(environment):
    listed = environment.run("interlace", "plugins")
    (row,) = [line for line in listed.splitlines() if " gumbel " in line]
    assert "interlace-template" in row and "0.1.0" in row and row.rstrip().endswith("ok")
    assert environment.python(USE).strip() == "used"
    environment.run("pip", "uninstall", "-q", "-y", "interlace-template")
    message = environment.python(MISS)
    assert "family 'gumbel' is not provided by anything installed" in message
    assert "Installed families: " in message and "binomial" in message


def test_a_new_family_passes_its_own_tests_at_once(environment):
    environment.install("pytest")
    environment.run("interlace", "new-family", "high_water")
    folder = environment.folder / "interlace-high-water"
    environment.install(folder)
    closing = environment.run("pytest", "-q", str(folder)).splitlines()[-1]
    assert "passed" in closing and "failed" not in closing


def test_a_new_covariance_structure_passes_its_own_tests_and_fits(environment):
    environment.install("pytest")
    environment.run("interlace", "new-covariance", "slow_decay")
    folder = environment.folder / "interlace-slow-decay"
    environment.install(folder)
    closing = environment.run("pytest", "-q", str(folder)).splitlines()[-1]
    assert "passed" in closing and "failed" not in closing
    assert environment.python(USE_OF_PLACES).strip() == "used"


def test_the_wheels_for_users_hold_no_template_family(wheels):
    assert len(for_users(wheels)) == len(wheels) - 2
