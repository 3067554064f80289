"""What an approximation is built on: joint density, mode, factorisation, parts."""

from interlace_core.engine.across import point_of
from interlace_core.engine.across_search import AcrossSearch, Curvature
from interlace_core.engine.compiled import (
    compiled_linear,
    compiled_objective,
    compiled_products,
)
from interlace_core.engine.effects import covariance_by_term
from interlace_core.engine.elimination.across import (
    OwnEliminated,
    eliminate_posterior,
    mirrored,
    pack,
    unpack,
)
from interlace_core.engine.elimination.chain import ChainSlopes
from interlace_core.engine.elimination.factorisation import (
    EliminationPlan,
    Factorisation,
    Plan,
    factorise_posterior,
)
from interlace_core.engine.elimination.smallblocks import (
    NotPositiveDefiniteError,
    sandwich,
    template_times,
)
from interlace_core.engine.elimination.traces import Traces, complement_traces, crossed_traces
from interlace_core.engine.gram import Triangle, triangular_factor
from interlace_core.engine.intercepts import conditional_at
from interlace_core.engine.joint_density import (
    Conditional,
    Point,
    products_on_pattern,
    scaled,
    scatter,
    weighted_derivatives,
)
from interlace_core.engine.known import Known, has_across
from interlace_core.engine.layout import Layout, layout_of
from interlace_core.engine.mode import (
    DEFAULT_SETTINGS,
    ROUNDING_LOOKED_AT,
    Mode,
    ModeMemory,
    ModeSettings,
    curvature,
    is_converged,
    value_noise,
)
from interlace_core.engine.other_modes import MAX_ROUNDS, lower_mode, lowest_mode
from interlace_core.engine.parts import subset
from interlace_core.engine.row_correlation import RowRoots, row_deviations, row_roots
from interlace_core.engine.runs import LevelRun, level_runs
from interlace_core.engine.shares import LARGE, Share, mode_at, share, summed
from interlace_core.engine.structure import Blocks, Factor, Segments

# fmt: off
__all__ = [
    "AcrossSearch", "Blocks", "ChainSlopes", "Conditional", "Curvature", "DEFAULT_SETTINGS",
    "EliminationPlan", "Factor",
    "Factorisation", "Known", "LARGE", "Layout", "LevelRun", "MAX_ROUNDS", "Mode", "ModeMemory",
    "ModeSettings",
    "NotPositiveDefiniteError", "OwnEliminated", "Plan", "Point", "ROUNDING_LOOKED_AT",
    "RowRoots", "Segments",
    "Share", "Traces", "Triangle", "compiled_linear", "compiled_objective", "compiled_products",
    "complement_traces", "conditional_at", "covariance_by_term", "crossed_traces", "curvature",
    "eliminate_posterior", "factorise_posterior", "has_across", "is_converged", "layout_of",
    "level_runs",
    "lower_mode", "lowest_mode", "mirrored", "mode_at",
    "pack", "point_of", "products_on_pattern",
    "row_deviations", "row_roots",
    "sandwich", "scaled", "scatter", "share", "subset", "summed", "template_times",
    "triangular_factor", "unpack",
    "value_noise", "weighted_derivatives",
]
# fmt: on
