"""Optimizers from SciPy."""

from interlace_core.contract import Optimizer, hookimpl


@hookimpl
def interlace_optimizers() -> list[type[Optimizer]]:
    """Return the optimizer classes of this distribution."""
    from interlace_scipy.cobyqa import COBYQA
    from interlace_scipy.lbfgsb import LBFGSB

    return [LBFGSB, COBYQA]
