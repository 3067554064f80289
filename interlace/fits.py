"""A fit with the options in force: what calls give, over files, environment and defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from interlace.config.options import Config
from interlace.diagnostics.notes import with_notes
from interlace.results.result import GLMMResult
from interlace_core import driver


def fit_glmm(
    formula: str,
    data: Any,
    family: Any,
    *,
    call: Mapping[str, Any] | None = None,
    builtin: Mapping[str, Any] | None = None,
    who: str = "glmer",
    **given: Any,
) -> GLMMResult:
    """Return a fit; arguments as of `driver.fit_glmm`, but for the options.

    Parameters
    ----------
    call : mapping
        The call's own values for configurable options; None means not given.
    builtin : mapping
        The weakest defaults of configurable options.
    who : str
        The function that the user called, for messages.
    """
    result = driver.fit_glmm(
        formula, data, family, **resolved(call, builtin), returns=GLMMResult, who=who, **given
    )
    return with_notes(result, who)


def prepare(
    formula: str,
    data: Any,
    family: Any,
    *,
    call: Mapping[str, Any] | None = None,
    builtin: Mapping[str, Any] | None = None,
    **given: Any,
) -> driver.Prepared:
    """Return what a fit needs; arguments as of `driver.prepare`, but for the options."""
    return driver.prepare(formula, data, family, **resolved(call, builtin), **given)


def resolved(call: Mapping[str, Any] | None, builtin: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the arguments `call` and `settings` of the driver."""
    given = {key: value for key, value in (call or {}).items() if value is not None}
    return {"call": given, "settings": Config(builtin).resolve_all(given)}
