"""The core of interlace: contracts, registry, driver and numerics. It knows no family by name."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interlace_core.contracts import CONTRACT_VERSION as CONTRACT_VERSION
    from interlace_core.contracts import Approximation as Approximation
    from interlace_core.contracts import Covariance as Covariance
    from interlace_core.contracts import Family as Family
    from interlace_core.contracts import Optimizer as Optimizer
    from interlace_core.contracts import OptimizerFacts as OptimizerFacts
    from interlace_core.contracts import Parameter as Parameter
    from interlace_core.errors import InterlaceError as InterlaceError
    from interlace_core.errors import InterlaceWarning as InterlaceWarning
    from interlace_core.hookspecs import hookimpl as hookimpl
    from interlace_core.records import Derivatives as Derivatives
    from interlace_core.records import Evaluation as Evaluation
    from interlace_core.records import OptimizerResult as OptimizerResult
    from interlace_core.records import Problem as Problem
    from interlace_core.records import Response as Response

_PUBLIC = {
    "Approximation": "contracts",
    "CONTRACT_VERSION": "contracts",
    "Covariance": "contracts",
    "Family": "contracts",
    "Optimizer": "contracts",
    "OptimizerFacts": "contracts",
    "Parameter": "contracts",
    "Derivatives": "records",
    "Evaluation": "records",
    "OptimizerResult": "records",
    "Problem": "records",
    "Response": "records",
    "InterlaceError": "errors",
    "InterlaceWarning": "errors",
    "hookimpl": "hookspecs",
}

__all__ = list(_PUBLIC)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'interlace_core' has no attribute {name!r}")
    return getattr(import_module(f"interlace_core.{_PUBLIC[name]}"), name)
