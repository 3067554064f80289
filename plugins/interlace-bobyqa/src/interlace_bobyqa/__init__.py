"""BOBYQA by way of Py-BOBYQA; GPL-3.0-or-later because Py-BOBYQA is."""

from interlace_core.contract import Optimizer, hookimpl


@hookimpl
def interlace_optimizers() -> list[type[Optimizer]]:
    """Return the optimizer classes of this distribution."""
    from interlace_bobyqa.bobyqa import BOBYQA

    return [BOBYQA]
