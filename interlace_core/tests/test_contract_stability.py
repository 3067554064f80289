"""Plugins written for a version of the contracts go on working: what may change within one.

Within a version, things may be added that nobody has to write or give. Whatever breaks a rule here
needs `CONTRACT_VERSION` raised, and a new `contract_N.json` written by `contract_description.py`.
"""

import copy
import json
from pathlib import Path

import pytest
from contract_description import describe

from interlace_core.contract import CONTRACT_VERSION
from interlace_core.contract.approximation import Approximation
from interlace_core.contract.covariance import Covariance
from interlace_core.contract.family import Family
from interlace_core.contract.optimizer import Optimizer

PROMISED = json.loads(Path(__file__).with_name(f"contract_{CONTRACT_VERSION}.json").read_text())


def breaches(promised, now):
    """Return in words what a plugin made for `promised` would trip over."""
    found = [f"hook {name} is gone" for name in promised["hooks"] if name not in now["hooks"]]
    for name, base in promised["bases"].items():
        found += base_breaches(name, base, now["bases"].get(name))
    for name, fields in promised["records"].items():
        found += parameter_breaches(name, fields, now["records"].get(name))
    for name, parameters in promised["functions"].items():
        found += parameter_breaches(name, parameters, now["functions"].get(name))
    return found


def base_breaches(name, promised, now):
    if now is None:
        return [f"{name} is gone"]
    found = [
        f"{name}.{each} has to be written"
        for each in set(now["abstract"]) - {*promised["abstract"]}
    ]
    found += [
        f"{name}.{each} is gone" for each in promised["attributes"] if each not in now["attributes"]
    ]
    for method, parameters in promised["methods"].items():
        found += parameter_breaches(f"{name}.{method}", parameters, now["methods"].get(method))
    return found


def parameter_breaches(name, promised, now):
    """A parameter or field keeps its place and its kind, and does not become required."""
    if now is None:
        return [f"{name} is gone"]
    found = []
    for position, (old, *_, old_required) in enumerate(promised):
        if position >= len(now) or now[position][:-1] != promised[position][:-1]:
            found.append(f"{name}: {old} is gone or elsewhere")
        elif now[position][-1] and not old_required:
            found.append(f"{name}: {old} has to be given")
    new = now[len(promised) :]
    return found + [f"{name}: {each[0]} has to be given" for each in new if each[-1]]


def test_what_was_promised_holds():
    assert PROMISED["version"] == CONTRACT_VERSION
    assert breaches(PROMISED, describe()) == []


def test_a_class_that_says_nothing_is_made_for_version_one():
    """It must not become a plugin for a later version by inheritance."""
    for base in (Family, Approximation, Optimizer, Covariance):
        assert base.contract_version == 1


CHANGES = {
    "hook interlace_families is gone": lambda now: now["hooks"].remove("interlace_families"),
    "Family.quantile has to be written": lambda now: now["bases"]["Family"]["abstract"].append(
        "quantile"
    ),
    "Family.cdf is gone": lambda now: now["bases"]["Family"]["methods"].pop("cdf"),
    "Family.response_forms is gone": lambda now: now["bases"]["Family"]["attributes"].remove(
        "response_forms"
    ),
    "Optimizer is gone": lambda now: now["bases"].pop("Optimizer"),
    "Optimizer.minimize: start is gone or elsewhere": lambda now: now["bases"]["Optimizer"][
        "methods"
    ]["minimize"].pop(2),
    "Evaluation: seconds has to be given": lambda now: now["records"]["Evaluation"].append(
        ["seconds", True]
    ),
    "Parameter: role has to be given": lambda now: now["records"]["Parameter"].__setitem__(
        3, ["role", True]
    ),
    "require: where has to be given": lambda now: now["functions"]["require"].append(
        ["where", "POSITIONAL_OR_KEYWORD", True]
    ),
}


@pytest.mark.parametrize("breach", CHANGES)
def test_a_change_that_breaks_plugins_is_found(breach):
    now = copy.deepcopy(PROMISED)
    CHANGES[breach](now)
    assert breach in breaches(PROMISED, now)


def test_additions_that_nobody_has_to_write_are_no_breach():
    now = copy.deepcopy(PROMISED)
    now["bases"]["Family"]["methods"]["quantile"] = [["self", "POSITIONAL_OR_KEYWORD", True]]
    now["records"]["Evaluation"].append(["seconds", False])
    now["hooks"].append("interlace_links")
    assert breaches(PROMISED, now) == []
