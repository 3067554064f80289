"""Broken plugins of every kind, as installed distributions in one environment."""

import pytest
from environments import Environment, for_users, make_wheel

FAMILY = """
import numpy as np
from interlace_core import Family, Parameter, hookimpl
from interlace_core.calculus.links import LINKS

class Plain(Family):
    name = "{name}"
    parameters = (Parameter("mu", LINKS["identity"], role="mean"),)

    def log_density(self, y, eta):
        return -0.5 * np.square(y - eta[0]) - 0.5 * np.log(2.0 * np.pi)

    def mean(self, eta):
        return np.asarray(eta[0])
"""
HOOK = """
@hookimpl
def interlace_families():
    return [Plain]
"""


def plain(name, more=""):
    return FAMILY.format(name=name) + more + HOOK


IN_A_FIT = """
    calls = []
    def check_response(self, y, weights):
        raise ZeroDivisionError("no luck")
"""

PLUGINS = {
    "good": plain("good"),
    "bad-import": "import a_module_that_is_not_there\n",
    "bad-hook": FAMILY.format(name="x1") + HOOK.replace("return [Plain]", "raise OSError('boo')"),
    "bad-signature": FAMILY.format(name="x2") + HOOK.replace("families()", "families(config)"),
    "bad-spelling": FAMILY.format(name="x3") + HOOK.replace("_families", "_familys"),
    "same-entry": plain("second"),
    "same-name": plain("good"),
    "bad-contract": FAMILY.format(name="x4").replace("def mean", "def means") + HOOK,
    "old-contract": plain("x5", "\n    contract_version = 0\n"),
    "bad-fit": plain("unlucky", IN_A_FIT),
}
STAGES = {
    "bad-import": ("import", "ModuleNotFoundError: No module named 'a_module_that_is_not_there'"),
    "bad-hook": ("hook", "OSError: boo"),
    "bad-signature": ("register", "config"),
    "bad-spelling": ("register", "did you mean interlace_families?"),
    "bad-contract": ("contract", "is abstract, it lacks mean"),
    "old-contract": ("contract", "is made for contract version 0"),
}
"""The remaining two of the eight are not failures of a plugin: a name that two provide, and an
entry point called like another's, which both have to work."""

FIT = """
import warnings
import interlace
from interlace_core.messages.errors import AmbiguousNameError, PluginError

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    cbpp = interlace.datasets.load("cbpp")
    arguments = dict(groups="herd", weights="size")
    model = interlace.glmer("incidence / size ~ period", cbpp, "binomial", **arguments)
    again = interlace.glmer("incidence / size ~ period", cbpp, "binomial", **arguments)
print("LLF", round(model.llf, 3))
for each in caught:
    print("WARNED", str(each.message))

data = {"y": [1.0, 2.0, 1.5, 3.0, 2.5, 4.0], "g": [0, 0, 1, 1, 2, 2]}
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    print("SECOND", interlace.glmer("y ~ 1 + (1 | g)", data, "second").family.name)
    print("NAMED", interlace.glmer("y ~ 1 + (1 | g)", data, "same-name:good").family.name)
    with interlace.options(prefer={"family:good": "good"}):
        print("PREFERRED", type(interlace.glmer("y ~ 1 + (1 | g)", data, "good").family).__module__)
    try:
        interlace.glmer("y ~ 1 + (1 | g)", data, "good")
    except AmbiguousNameError as error:
        print("AMBIGUOUS", error)
    try:
        interlace.glmer("y ~ 1 + (1 | g)", data, "unlucky")
    except PluginError as error:
        print("FAILED", error, "CAUSE", repr(error.__cause__))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory, wheels):
    folder = tmp_path_factory.mktemp("broken")
    made = Environment.make(folder)
    # one entry-point name for all: pluggy's own loader would skip all but the first
    broken = [make_wheel(folder, name, code) for name, code in PLUGINS.items()]
    made.install(*for_users(wheels), *broken)
    return made


@pytest.fixture(scope="module")
def lines(environment):
    return environment.python(FIT).splitlines()


def said(lines, word):
    return [line.removeprefix(word).strip() for line in lines if line.startswith(word)]


def test_what_is_not_broken_works(lines):
    assert said(lines, "LLF") == ["-92.026"]
    assert said(lines, "SECOND") == ["second"]


def test_each_failure_is_warned_about_once_in_one_line(lines):
    warned = said(lines, "WARNED")
    assert len(warned) == len(STAGES)
    for name, (stage, cause) in STAGES.items():
        (line,) = [each for each in warned if f"distribution {name} 1.0" in each]
        assert f"failed at stage {stage}: " in line and cause in line


def test_the_table_shows_distribution_version_stage_and_cause(environment):
    table = environment.run("interlace", "plugins").splitlines()
    for name, (stage, cause) in STAGES.items():
        (row,) = [each for each in table if f" {name} " in each and "failed at" in each]
        assert " 1.0 " in row and f"failed at {stage}: " in row and cause in row
    for name in ("good", "same-name"):
        assert any(f"ok; write {name}:good" in each for each in table)


def test_a_name_of_two_distributions_has_to_be_qualified(lines):
    (message,) = said(lines, "AMBIGUOUS")
    assert "distribution good 1.0" in message and "distribution same-name 1.0" in message
    assert "'good:good' or 'same-name:good'" in message
    assert said(lines, "NAMED") == ["good"]
    assert said(lines, "PREFERRED") == ["good"]


def test_a_plugin_that_fails_in_a_fit_is_named_with_its_cause(lines):
    (message,) = said(lines, "FAILED")
    assert "family 'unlucky' of plugin main of distribution bad-fit 1.0 failed at stage" in message
    assert "CAUSE ZeroDivisionError('no luck')" in message
