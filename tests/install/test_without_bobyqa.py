"""What `pip install interlace` brings: nothing under the GPL, and the way to BOBYQA in words."""

import pytest
from environments import Environment, for_users

OF_AN_EXTRA = "interlace_bobyqa"

FITS = """
import interlace

cbpp = interlace.datasets.load("cbpp")
how = dict(data=cbpp, family="binomial", groups="herd", weights="size")
fits = [interlace.glmer("incidence / size ~ period", **how, **each)
        for each in ({}, {"optimizer": "cobyqa"}, {"nAGQ": 25})]
assert all(each.converged for each in fits)
assert abs(fits[0].llf - fits[1].llf) < 1e-6
for asked in ("bobyqa", "BOBYQA", "bobqa"):
    try:
        interlace.glmer("incidence / size ~ period", **how, optimizer=asked)
    except interlace.errors.UnknownNameError as error:
        print(error)
"""

LICENCES = """
import re
from importlib.metadata import distributions
# Those that carry the compiler's own library, under the GPL with an exception, are not meant.
for name in sorted(
    each.metadata["Name"]
    for each in distributions()
    for told in (each.metadata.get("License"), each.metadata.get("License-Expression"))
    if re.match(r"(GNU )?(GPL|General Public License)", told or "")
):
    print(name)
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory, wheels):
    folder = tmp_path_factory.mktemp("without")
    made = Environment.make(folder)
    made.install(*(each for each in for_users(wheels) if not each.name.startswith(OF_AN_EXTRA)))
    return made


def test_nothing_under_the_gpl_is_installed(environment):
    assert environment.python(LICENCES) == ""


def test_it_fits_and_says_how_to_get_what_is_not_there(environment):
    told = environment.python(FITS).splitlines()
    assert len(told) == 3
    for line in told:
        assert "pip install 'interlace[bobyqa]'" in line and "cobyqa, lbfgsb" in line


def test_the_extra_brings_it(environment, wheels):
    ours = next(each for each in wheels if each.name.startswith("interlace-"))
    environment.install(f"interlace[bobyqa] @ {ours.as_uri()}", "--find-links", ours.parent)
    told = environment.python(FITS)
    assert told.count("Did you mean 'bobyqa'?") == 1  # of "bobqa"; the other two fit
    assert environment.python(LICENCES).split() == ["Py-BOBYQA", "interlace-bobyqa"]
