"""Compiled kernels against NumPy: rows slot by slot, and which way a model takes."""

import shutil
import subprocess

import pytest

from interlace_core.contract import Kernels
from interlace_core.registry.registry import default_registry
from interlace_core.testing import kernel_checks

(REGISTERED,) = default_registry().classes("kernel")
KERNELS: Kernels = REGISTERED.cls()
BUILT = bool(KERNELS.build)
OPTIONS = {
    "cumulative": [
        {"link": link, "threshold": threshold}
        for link in ("logit", "probit")
        for threshold in ("flexible", "symmetric", "equidistant")
    ]
}


def served():
    """Yield an instance of each family that is served, with each link."""
    for distribution, name, link in sorted(KERNELS.families):
        (found,) = [
            each
            for each in default_registry().classes("family")
            if (each.distribution, each.name) == (distribution, name)
        ]
        fields = getattr(found.cls, "__dataclass_fields__", {})
        usual = [{"link": link}] if "link" in fields else [{}]
        for options in OPTIONS.get(name, usual):
            yield found.cls(**options)


@pytest.mark.parametrize(
    "name, check", [pair for family in served() for pair in kernel_checks(KERNELS, family)]
)
def test_rows_are_those_of_numpy(name, check):
    check()


def test_a_library_is_there_exactly_where_a_compiler_was():
    """What a machine without a compiler lacks is said, and what one with it has is used."""
    compiler = shutil.which("cc")
    works = compiler and subprocess.run([compiler, "--version"], check=False).returncode == 0
    assert bool(works) == BUILT
