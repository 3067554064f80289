"""interlace: generalised linear mixed models by maximum likelihood."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from interlace.beside import overlaid
from interlace.models import glmer, power

if TYPE_CHECKING:
    from interlace import datasets, errors, families, plots
    from interlace.config.options import options
    from interlace.families import (
        BetaFamily,
        BinomialFamily,
        GammaFamily,
        GaussianFamily,
        HurdlePoissonFamily,
        NegativeBinomial1Family,
        NegativeBinomial2Family,
        PoissonFamily,
        ZeroInflatedNB2Family,
        ZeroInflatedPoissonFamily,
        ZeroOneInflatedBetaFamily,
    )
    from interlace.inference.compare import anova
    from interlace.linear import LMMResult, fit
    from interlace.ordinal import CLMMResult, clmm
    from interlace.parts.shuffle import shuffle
    from interlace.parts.sources import in_parts
    from interlace.pedigrees import pedigree
    from interlace.priors.densities import (
        cauchy,
        exponential,
        gamma,
        half_cauchy,
        half_normal,
        half_t,
        lkj,
        normal,
        student_t,
    )
    from interlace.results.result import GLMMResult
    from interlace.saved import load

__version__ = "0.1.0"

__all__ = [
    "BetaFamily",
    "BinomialFamily",
    "CLMMResult",
    "GLMMResult",
    "GammaFamily",
    "GaussianFamily",
    "HurdlePoissonFamily",
    "LMMResult",
    "NegativeBinomial1Family",
    "NegativeBinomial2Family",
    "PoissonFamily",
    "ZeroInflatedNB2Family",
    "ZeroInflatedPoissonFamily",
    "ZeroOneInflatedBetaFamily",
    "anova",
    "cauchy",
    "clmm",
    "datasets",
    "errors",
    "exponential",
    "families",
    "fit",
    "gamma",
    "glmer",
    "half_cauchy",
    "half_normal",
    "half_t",
    "in_parts",
    "lkj",
    "load",
    "normal",
    "options",
    "pedigree",
    "plots",
    "plugins",
    "power",
    "shuffle",
    "student_t",
]

# heavy or seldom used: imported when asked for
_LAZY = {
    "fit": ("interlace.linear", "fit"),
    "LMMResult": ("interlace.linear", "LMMResult"),
    "clmm": ("interlace.ordinal", "clmm"),
    "CLMMResult": ("interlace.ordinal", "CLMMResult"),
    "GLMMResult": ("interlace.results.result", "GLMMResult"),
    "load": ("interlace.saved", "load"),
    "anova": ("interlace.inference.compare", "anova"),
    "in_parts": ("interlace.parts.sources", "in_parts"),
    "cauchy": ("interlace.priors.densities", "cauchy"),
    "exponential": ("interlace.priors.densities", "exponential"),
    "gamma": ("interlace.priors.densities", "gamma"),
    "half_cauchy": ("interlace.priors.densities", "half_cauchy"),
    "half_normal": ("interlace.priors.densities", "half_normal"),
    "half_t": ("interlace.priors.densities", "half_t"),
    "lkj": ("interlace.priors.densities", "lkj"),
    "normal": ("interlace.priors.densities", "normal"),
    "student_t": ("interlace.priors.densities", "student_t"),
    "pedigree": ("interlace.pedigrees", "pedigree"),
    "options": ("interlace.config.options", "options"),
    "shuffle": ("interlace.parts.shuffle", "shuffle"),
    "datasets": ("interlace.datasets", None),
    "errors": ("interlace.errors", None),
    "families": ("interlace.families", None),
    "plots": ("interlace.plots", None),
}


if _mixed := overlaid():
    from interlace_core.messages.errors import ConfigurationWarning
    from interlace_core.messages.warn import warn

    warn(f"interlace: {_mixed}", ConfigurationWarning)


if not TYPE_CHECKING:  # a type checker knows the names above, and is to complain of others

    def __getattr__(name: str) -> Any:
        """Import what is used seldom when it is first asked for; families by their class."""
        if name in _LAZY:
            module, attribute = _LAZY[name]
            loaded = import_module(module)
            return loaded if attribute is None else getattr(loaded, attribute)
        if name.startswith("_"):
            raise AttributeError(f"module 'interlace' has no attribute {name!r}")
        if name.endswith("Family"):
            return getattr(import_module("interlace.families"), name)
        from interlace.elsewhere import FUNCTIONS, answer, as_functions
        from interlace.results.result import GLMMResult

        hint = answer(name, as_functions(dir(GLMMResult)) | FUNCTIONS, __all__)
        raise AttributeError(f"module 'interlace' has no attribute {name!r}.{hint}")


def __dir__() -> list[str]:
    """Return the public names, imported yet or not."""
    return sorted({*__all__, *(each for each in globals() if each.startswith("__"))})


def plugins() -> Any:
    """Return a table of everything that installed plugins provide, failures included.

    Returns
    -------
    DataFrame
        One row per family, approximation, optimizer and covariance structure: kind, name,
        class, distribution, version, capabilities, status.
    """
    from interlace.plugin_table import plugin_table
    from interlace_core.registry.registry import default_registry

    return plugin_table(default_registry())
