"""The table of what installed plugins provide, with what each class can do in words."""

from __future__ import annotations

from typing import Any

import pandas as pd

from interlace_core.contract.family import Family
from interlace_core.registry.loader import Failure, Registered
from interlace_core.registry.meets_contract import KINDS, build_sample, kind_named
from interlace_core.registry.registry import Registry

OPTIONAL_ABILITIES = ("variance", "simulate", "cdf", "derivatives")


def plugin_table(registry: Registry) -> pd.DataFrame:
    """Return a row for each class, then one for each failure; see `interlace.plugins`."""
    rows = [
        _class_row(each, shared=[other.name for other in found].count(each.name) > 1)
        for kind in KINDS
        for found in [registry.classes(kind.name)]
        for each in found
    ]
    return pd.DataFrame(rows + [_failure_row(failure) for failure in registry.failures])


def capabilities(each: Registered) -> str:
    """Return in words what a class can do."""
    if each.kind == "composition":
        role = each.cls.role
        return f"adds {role}" if role else "by name only"
    describe = {
        "family": _family,
        "approximation": _approximation,
        "optimizer": _optimizer,
        "kernel": _kernels,
    }
    if each.kind not in describe:
        return ""
    return describe[each.kind](build_sample(kind_named(each.kind), each.cls))


def _also(each: Registered) -> str:
    return "also called " + ", ".join(each.aliases) if each.aliases else ""


def _family(family: Any) -> str:
    offered = [
        ability
        for ability in OPTIONAL_ABILITIES
        if getattr(type(family), ability) is not getattr(Family, ability)
    ]
    return "; ".join(
        [
            "parameters " + ", ".join(parameter.name for parameter in family.parameters),
            "response " + ", ".join(sorted(family.response_forms)),
            *(["links " + ", ".join(family.links)] if family.links else ()),
            "offers " + (", ".join(offered) or "nothing optional"),
        ]
    )


def _approximation(approximation: Any) -> str:
    served = approximation.serves_nAGQ
    if served is None:
        return "chosen by name only"
    lowest, highest = min(served), max(served)
    return f"nAGQ {lowest}" if lowest == highest else f"nAGQ {lowest} to {highest}"


def _optimizer(optimizer: Any) -> str:
    gradient = "uses the gradient" if optimizer.facts.uses_gradient else "needs no gradient"
    bounds = "keeps bounds" if optimizer.facts.supports_bounds else "knows no bounds"
    why = optimizer.unavailable
    return "; ".join([gradient, bounds, *([f"cannot run here: {why}"] if why else ())])


def _kernels(kernels: Any) -> str:
    if not kernels.build:
        return "not built here"
    names = len({name for _, name, _ in kernels.families})
    return f"{kernels.build}; rows of {names} {'family' if names == 1 else 'families'}"


def _class_row(each: Registered, shared: bool) -> dict[str, str]:
    return {
        "kind": each.kind,
        "name": each.name,
        "class": each.cls.__name__,
        "distribution": each.distribution,
        "version": each.version,
        "capabilities": "; ".join(filter(None, [capabilities(each), _also(each)])),
        "status": f"ok; write {each.distribution}:{each.name}" if shared else "ok",
    }


def _failure_row(failure: Failure) -> dict[str, str]:
    return {
        "kind": failure.kind or "plugin",
        "name": failure.plugin,
        "class": failure.item,
        "distribution": failure.distribution,
        "version": failure.version,
        "capabilities": "",
        "status": f"failed at {failure.stage}: {failure.cause}",
    }
