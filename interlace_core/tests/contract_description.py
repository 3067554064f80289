"""What a plugin can rely on, as plain data; `python contract_description.py` prints it.

`contract_1.json` is what version 1 of the contracts promised when it was published. It is written
once per version, and never changed.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
from typing import Any

from interlace_core import contract, engine, records, testing
from interlace_core.calculus import links
from interlace_core.calculus.jets.density import differentiate_density
from interlace_core.calculus.jets.numbers import compose
from interlace_core.contract import hooks as hookspecs
from interlace_core.contract.problem import Predictor, Problem, RandomTerm
from interlace_core.families.responses import (
    check_options,
    positive_or_none,
    require,
    require_counts,
)

BASES = (
    contract.Family,
    contract.Approximation,
    contract.Optimizer,
    contract.Covariance,
    contract.ResidualCorrelation,
    contract.Composition,
    contract.Kernels,
    contract.Engine,
    contract.Frames,
    contract.CompiledObjective,
    contract.Shortcuts,
    links.Link,
)
RECORDS = (
    contract.Parameter,
    contract.OptimizerFacts,
    contract.Method,
    contract.StartingValues,
    contract.Information,
    contract.Climb,
    contract.Compiled,
    contract.Descent,
    contract.LinearProducts,
    contract.QuasiNewton,
    records.Collapsed,
    records.RowKernel,
    records.CompiledFunction,
    records.CompiledPath,
    records.Derivatives,
    records.Evaluation,
    records.OptimizerResult,
    Predictor,
    Problem,
    records.Profiled,
    RandomTerm,
    records.Response,
)
FUNCTIONS = (
    check_options,
    positive_or_none,
    require,
    require_counts,
    compose,
    engine.layout_of,
    engine.lowest_mode,
    engine.weighted_derivatives,
    engine.scatter,
    engine.subset,
    differentiate_density,
    testing.approximation_checks,
    testing.covariance_checks,
    testing.family_checks,
    testing.kernel_checks,
    testing.kernel_objective_checks,
    testing.optimizer_checks,
)


def describe() -> dict[str, Any]:
    """Return names, signatures and what has to be written, of everything that is promised."""
    hooks = [name for name in vars(hookspecs) if name.startswith("interlace_")]
    return {
        "version": contract.CONTRACT_VERSION,
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
