"""What a result was fitted to, for everything that needs the data of the fit."""

from __future__ import annotations

from interlace_core.fitting.fitted_model import FittedModel
from interlace_core.fitting.fitted_to import Training
from interlace_core.messages.errors import NotAvailableError


def require_training(result: FittedModel, who: str) -> Training:
    """Return what the result was fitted to.

    Raises
    ------
    NotAvailableError
        If the result no longer has it.
    """
    if result.training is None:
        raise NotAvailableError(
            f"{who}: needs the data of the fit, which this result was saved without. Fit the "
            "model again, or keep the result that the fit returned."
        )
    return result.training
