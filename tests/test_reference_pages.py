"""The site's reference has every public name, and no other."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[1] / "docs" / "reference"
LISTED = set(
    re.findall(r"^   ~?(interlace[\w.]*)$", "\n".join(
        page.read_text(encoding="utf-8") for page in PAGES.glob("*.rst")
    ), re.MULTILINE)
)  # fmt: skip
MODULES = [
    "interlace",
    "interlace.families",
    "interlace.errors",
    "interlace.plots",
    "interlace.datasets",
    "interlace_core.contract",
    "interlace_core.families",
    "interlace_core.engine",
    "interlace_core.testing",
]


def public(module):
    """Return the classes and functions of a module's front door; errors have a page of theirs."""
    found = importlib.import_module(module)
    named = {name: getattr(found, name) for name in found.__all__}
    return {
        f"{module}.{name}"
        for name, value in named.items()
        if (inspect.isclass(value) or inspect.isfunction(value))
        and (module == "interlace.errors" or not is_told_of(value))
    }


def is_told_of(value):
    """Return whether something is an error, a warning or an alias of an array type."""
    return inspect.isclass(value) and (issubclass(value, Exception) or value.__module__ == "numpy")


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_in_the_reference(module):
    elsewhere = {"interlace." + name.rpartition(".")[2] for name in LISTED if ".families." in name}
    assert sorted(public(module) - LISTED - elsewhere) == []


def test_every_name_of_the_reference_exists():
    for name in sorted(LISTED):
        module, _, last = name.rpartition(".")
        if name != "interlace.marginaleffects.adapt":  # its package is not installed here
            assert hasattr(importlib.import_module(module), last), name
