"""What a plugin can rely on, as plain data; `python contract_description.py` prints it.

`contract_1.json` is what version 1 of the contracts promised when it was published. It is written
once per version, and never changed.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
from typing import Any

from interlace_core import contracts, hookspecs, links, records, testing
from interlace_core.jets import compose, differentiate_density

BASES = (
    contracts.Family,
    contracts.Approximation,
    contracts.Optimizer,
    contracts.Covariance,
    links.Link,
)
RECORDS = (
    contracts.Parameter,
    contracts.OptimizerFacts,
    records.Derivatives,
    records.Evaluation,
    records.OptimizerResult,
    records.Predictor,
    records.Problem,
    records.Profiled,
    records.RandomTerm,
    records.Response,
)
FUNCTIONS = (
    contracts.check_options,
    contracts.positive_or_none,
    contracts.require,
    contracts.require_counts,
    compose,
    differentiate_density,
    testing.approximation_checks,
    testing.covariance_checks,
    testing.family_checks,
    testing.optimizer_checks,
)


def describe() -> dict[str, Any]:
    """Return names, signatures and what has to be written, of everything that is promised."""
    hooks = [name for name in vars(hookspecs) if name.startswith("interlace_")]
    return {
        "version": contracts.CONTRACT_VERSION,
        "bases": {base.__name__: describe_base(base) for base in BASES},
        "records": {record.__name__: describe_record(record) for record in RECORDS},
        "functions": {function.__name__: describe_function(function) for function in FUNCTIONS},
        "hooks": sorted(hooks),
    }


def describe_base(base: type) -> dict[str, Any]:
    """Return what a subclass must write, the signatures, and the attributes with a default."""
    public = {name: value for name, value in inspect.getmembers(base) if not name.startswith("_")}
    methods = {
        name: describe_function(value) for name, value in public.items() if inspect.isroutine(value)
    }
    return {
        "abstract": sorted(getattr(base, "__abstractmethods__", ())),
        "methods": methods,
        "attributes": sorted(set(public) - set(methods)),
    }


def describe_record(record: Any) -> list[list[Any]]:
    """Return each field in order, with whether it has to be given."""
    missing = dataclasses.MISSING
    return [
        [field.name, field.default is missing and field.default_factory is missing]
        for field in dataclasses.fields(record)
    ]


def describe_function(function: Any) -> list[list[Any]]:
    """Return each parameter in order, with its kind and whether it has to be given."""
    return [
        [parameter.name, parameter.kind.name, parameter.default is parameter.empty]
        for parameter in inspect.signature(function).parameters.values()
    ]


if __name__ == "__main__":
    print(json.dumps(describe(), indent=1))
