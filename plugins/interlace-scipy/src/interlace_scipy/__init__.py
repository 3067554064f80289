"""Optimizers from SciPy."""

from interlace_core.contracts import Optimizer
from interlace_core.hookspecs import hookimpl


@hookimpl
def interlace_optimizers() -> list[type[Optimizer]]:
    """Return the optimizer classes of this distribution."""
    from interlace_scipy.lbfgsb import LBFGSB

    return [LBFGSB]
