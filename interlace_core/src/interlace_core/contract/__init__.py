"""What a family, an approximation, an optimizer and a covariance structure must be able to do.

A plugin author needs this room and `contract/hooks.py`, nothing else. All densities are written on
the scale of the linear predictors: `eta` holds one entry per distributional parameter, in the
order of `Family.parameters`; each entry broadcasts against `y` along its last axis (n rows),
and may have leading axes (quadrature nodes).
"""

from interlace_core.calculus.links import (
    LINKS,
    CLogLog,
    Correlation,
    Link,
    Logit,
    LogProbability,
    ProbabilityLink,
    Taylor,
    as_link,
    chain,
)
from interlace_core.contract.approximation import Approximation, Beginning, Information, Shortcuts
from interlace_core.contract.composition import Composition
from interlace_core.contract.covariance import Covariance
from interlace_core.contract.family import DISCRETE_SUPPORTS, Family, Parameter
from interlace_core.contract.hooks import hookimpl
from interlace_core.contract.level_covariance import Relation
from interlace_core.contract.optimizer import Optimizer, OptimizerFacts
from interlace_core.contract.problem import Predictor, Problem, RandomTerm, RowReport
from interlace_core.contract.residual_correlation import ResidualCorrelation
from interlace_core.contract.row_correlation import Batch, RowCorrelation
from interlace_core.messages.checks import is_real, is_whole
from interlace_core.messages.errors import (
    DataError,
    DataWarning,
    InterlaceError,
    NotAvailableError,
    OptionError,
    ResponseError,
    SavedFileError,
    UnknownNameError,
    UnsupportedModelError,
)
from interlace_core.messages.warn import warn
from interlace_core.records import (
    Array,
    BoolArray,
    Collapsed,
    Derivatives,
    Evaluation,
    IntArray,
    OptimizerResult,
    Profiled,
    Response,
    Status,
)

__all__ = [
    "Approximation",
    "Array",
    "Batch",
    "Beginning",
    "BoolArray",
    "CLogLog",
    "CONTRACT_VERSION",
    "Collapsed",
    "Composition",
    "Correlation",
    "Covariance",
    "DISCRETE_SUPPORTS",
    "DataError",
    "DataWarning",
    "Derivatives",
    "Evaluation",
    "Family",
    "Information",
    "IntArray",
    "InterlaceError",
    "LINKS",
    "Link",
    "LogProbability",
    "Logit",
    "NotAvailableError",
    "Optimizer",
    "OptimizerFacts",
    "OptimizerResult",
    "OptionError",
    "Parameter",
    "Predictor",
    "ProbabilityLink",
    "Problem",
    "Profiled",
    "RandomTerm",
    "Relation",
    "ResidualCorrelation",
    "Response",
    "ResponseError",
    "RowCorrelation",
    "RowReport",
    "SavedFileError",
    "Shortcuts",
    "Status",
    "Taylor",
    "UnknownNameError",
    "UnsupportedModelError",
    "as_link",
    "chain",
    "hookimpl",
    "is_real",
    "is_whole",
    "warn",
]

CONTRACT_VERSION = 1
"""Raised when a contract changes in a way that breaks a plugin; see the docs on stability."""
