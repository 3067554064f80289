"""The core of interlace: contracts, registry, driver and numerics. It knows no family by name."""

from importlib import import_module
from typing import Any

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
