"""An approximation on promised modules alone: it passes the kit, and fits, beside the wheels."""

import ast
from pathlib import Path

import pytest
from environments import Environment, for_users, make_wheel

SOURCE = Path(__file__).with_name("dense_approximation.py")
PROMISED = {"contract", "engine", "families", "testing"}

KIT = """
from interlace_core.registry.registry import default_registry
from interlace_core.testing import approximation_checks
checks = approximation_checks(default_registry().approximation("dense"))
for name, check in checks:
    check()
print(len(checks), "checks passed")
"""

USE = """
import interlace
cbpp = interlace.datasets.load("cbpp")
formula = "incidence / size ~ period + (1 | herd)"
arguments = dict(data=cbpp, family="binomial", weights="size")
dense = interlace.glmer(formula, approximation="dense", **arguments)
laplace = interlace.glmer(formula, **arguments)
assert abs(dense.llf - laplace.llf) < 1e-8, (dense.llf, laplace.llf)
assert str(dense.fitted_by) == "dense" and "dense" in str(dense.summary())
held = interlace.glmer(
    formula, approximation="dense", priors={"fixed": interlace.normal(0, 2.5)}, **arguments
)
assert str(held.fitted_by) == "dense, penalised"
print("used")
"""


def test_it_imports_promised_modules_alone():
    names = {
        node.module
        for node in ast.walk(ast.parse(SOURCE.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module.startswith("interlace")
    }
    assert names and names <= {f"interlace_core.{each}" for each in PROMISED}


@pytest.fixture(scope="module")
def environment(tmp_path_factory, wheels):
    folder = tmp_path_factory.mktemp("approximation")
    made = Environment.make(folder)
    made.install(*for_users(wheels), make_wheel(folder, "dense", SOURCE.read_text("utf-8")))
    return made


def test_it_passes_the_kit(environment):
    assert environment.python(KIT).strip().endswith("checks passed")


def test_it_fits_what_laplace_fits(environment):
    assert environment.python(USE).strip() == "used"
