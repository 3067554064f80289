"""The core of interlace: contract, registry, engine, fitting. It knows no family by name."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interlace_core.contract import CONTRACT_VERSION as CONTRACT_VERSION
    from interlace_core.contract.approximation import Approximation as Approximation
    from interlace_core.contract.covariance import Covariance as Covariance
    from interlace_core.contract.family import Family as Family
    from interlace_core.contract.family import Parameter as Parameter
    from interlace_core.contract.hooks import hookimpl as hookimpl
    from interlace_core.contract.optimizer import Optimizer as Optimizer
    from interlace_core.contract.optimizer import OptimizerFacts as OptimizerFacts
    from interlace_core.contract.problem import Problem as Problem
    from interlace_core.messages.errors import InterlaceError as InterlaceError
    from interlace_core.messages.errors import InterlaceWarning as InterlaceWarning
    from interlace_core.records import Derivatives as Derivatives
    from interlace_core.records import Evaluation as Evaluation
    from interlace_core.records import OptimizerResult as OptimizerResult
    from interlace_core.records import Response as Response

_PUBLIC = {
    "Approximation": "contract.approximation",
    "CONTRACT_VERSION": "contract",
    "Covariance": "contract.covariance",
    "Family": "contract.family",
    "Optimizer": "contract.optimizer",
    "OptimizerFacts": "contract.optimizer",
    "Parameter": "contract.family",
    "Derivatives": "records",
    "Evaluation": "records",
    "OptimizerResult": "records",
    "Problem": "contract.problem",
    "Response": "records",
    "InterlaceError": "messages.errors",
    "InterlaceWarning": "messages.errors",
    "hookimpl": "contract.hooks",
}

__all__ = list(_PUBLIC)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'interlace_core' has no attribute {name!r}")
    return getattr(import_module(f"interlace_core.{_PUBLIC[name]}"), name)
