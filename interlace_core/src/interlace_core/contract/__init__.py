"""What a family, an approximation, an optimizer and a covariance structure must be able to do.

This is all that an author imports, with `families` (building blocks of densities), `engine` (of
approximations) and `testing` (the kit). One file for each contract:

- `family`: densities on the scale of the linear predictors. `eta` holds one entry per
  distributional parameter, in the order of `Family.parameters`; each entry broadcasts against
  `y` along its last axis (n rows), and may have leading axes (quadrature nodes).
- `approximation`: the marginal likelihood as a function of psi; `Method` is what reports say.
- `optimizer`: a minimiser, with its facts.
- `covariance`, `residual_correlation`: structures of random effects, and of rows in groups;
  `sequence`: effects each of which depends on the one before alone.
- `composition`: families that are made of other families.
- `kernels`: compiled code for families and approximations of other distributions.
- `problem`: the model as arrays; `level_covariance` and `row_correlation` are parts of it.
- `parts`: a problem whose rows lie elsewhere, and who asks them.
- `hooks`: by which a distribution offers its classes.
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
from interlace_core.contract.approximation import (
    Approximation,
    Curvature,
    Method,
    Shortcuts,
    StartingValues,
)
from interlace_core.contract.composition import Composition
from interlace_core.contract.covariance import Covariance, Kind
from interlace_core.contract.family import DISCRETE_SUPPORTS, Family, Parameter
from interlace_core.contract.frames import Frames
from interlace_core.contract.hooks import hookimpl
from interlace_core.contract.incidence import Covariates, Incidence
from interlace_core.contract.kernels import (
    Climb,
    Compiled,
    CompiledObjective,
    CompiledSlopes,
    Descent,
    Kernels,
    LevelSums,
    LinearProducts,
    LinearResponses,
    RowColumns,
    RowSums,
    Slopes,
)
from interlace_core.contract.level_covariance import Relation
from interlace_core.contract.optimizer import Optimizer, OptimizerFacts, QuasiNewton
from interlace_core.contract.parts import (
    Engine,
    Largest,
    Levels,
    Parts,
    PartsHere,
    Sums,
    require_here,
    total,
)
from interlace_core.contract.problem import ColumnSizes, Predictor, Problem, RandomTerm, RowReport
from interlace_core.contract.residual_correlation import ResidualCorrelation
from interlace_core.contract.roots import CorrelationRoot, correlation_root
from interlace_core.contract.row_correlation import Batch, RowCorrelation
from interlace_core.contract.sequence import Chain
from interlace_core.messages.checks import is_real, is_whole
from interlace_core.messages.errors import (
    DataError,
    DataWarning,
    ExactResponseError,
    InterlaceError,
    NotAvailableError,
    OptionError,
    ResponseError,
    SavedFileError,
    UnknownNameError,
    UnsupportedModelError,
)
from interlace_core.messages.names import did_you_mean
from interlace_core.messages.warn import warn
from interlace_core.records import (
    Array,
    BoolArray,
    Collapsed,
    CompiledEnds,
    CompiledFunction,
    CompiledPath,
    Derivatives,
    Evaluation,
    Information,
    IntArray,
    OptimizerResult,
    Profiled,
    Response,
    RowKernel,
    Status,
)

# fmt: off
__all__ = [
    # contracts, and how they are offered
    "Approximation", "Composition", "Covariance", "Family", "Kernels", "Optimizer",
    "Chain", "CorrelationRoot", "Kind",
    "ResidualCorrelation", "Shortcuts", "hookimpl", "CONTRACT_VERSION",
    # what they say of themselves
    "DISCRETE_SUPPORTS", "Method", "OptimizerFacts", "Parameter", "QuasiNewton", "RowKernel",
    # links
    "LINKS", "CLogLog", "Correlation", "Link", "LogProbability", "Logit", "ProbabilityLink",
    "Taylor", "as_link", "chain",
    # the model, and what travels between components
    "Batch", "Compiled", "CompiledEnds", "CompiledFunction", "CompiledObjective", "CompiledPath",
    "Climb", "CompiledSlopes", "Descent", "LinearProducts", "LinearResponses", "LevelSums",
    "RowColumns", "RowSums", "Slopes",
    "StartingValues", "Collapsed", "Curvature", "Derivatives", "Evaluation", "Information",
    "OptimizerResult", "Predictor", "Problem", "Profiled", "RandomTerm", "Relation", "Response",
    "RowCorrelation", "RowReport", "Status", "ColumnSizes", "Engine", "Frames", "Largest",
    "Levels", "Parts", "PartsHere", "Sums", "require_here", "total", "Array", "BoolArray",
    "Covariates", "Incidence",
    "IntArray", "correlation_root",
    # errors, and checks of arguments
    "DataError", "DataWarning", "ExactResponseError", "InterlaceError", "NotAvailableError",
    "OptionError", "ResponseError", "SavedFileError", "UnknownNameError", "UnsupportedModelError",
    "warn", "did_you_mean", "is_real", "is_whole",
]
# fmt: on

CONTRACT_VERSION = 1
"""Raised when a contract changes in a way that breaks a plugin; see the docs on stability."""
