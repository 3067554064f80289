"""What an approximation is built on: joint density, mode, factorisation, parts."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interlace_core.engine.elimination.correlated_levels import (
        factorise_posterior as factorise_posterior,
    )
    from interlace_core.engine.elimination.factorisation import Factorisation as Factorisation
    from interlace_core.engine.elimination.smallblocks import (
        NotPositiveDefiniteError as NotPositiveDefiniteError,
    )
    from interlace_core.engine.elimination.smallblocks import sandwich as sandwich
    from interlace_core.engine.gram import triangular_factor as triangular_factor
    from interlace_core.engine.joint_density import Conditional as Conditional
    from interlace_core.engine.joint_density import Layout as Layout
    from interlace_core.engine.joint_density import Point as Point
    from interlace_core.engine.joint_density import layout_of as layout_of
    from interlace_core.engine.joint_density import scaled as scaled
    from interlace_core.engine.joint_density import scatter as scatter
    from interlace_core.engine.joint_density import weighted_derivatives as weighted_derivatives
    from interlace_core.engine.mode import DEFAULT_SETTINGS as DEFAULT_SETTINGS
    from interlace_core.engine.mode import ROUNDING_LOOKED_AT as ROUNDING_LOOKED_AT
    from interlace_core.engine.mode import Mode as Mode
    from interlace_core.engine.mode import ModeMemory as ModeMemory
    from interlace_core.engine.mode import ModeSettings as ModeSettings
    from interlace_core.engine.mode import curvature as curvature
    from interlace_core.engine.mode import is_converged as is_converged
    from interlace_core.engine.mode import value_noise as value_noise
    from interlace_core.engine.other_modes import MAX_ROUNDS as MAX_ROUNDS
    from interlace_core.engine.other_modes import lower_mode as lower_mode
    from interlace_core.engine.other_modes import lowest_mode as lowest_mode
    from interlace_core.engine.parts import subset as subset
    from interlace_core.engine.row_correlation import RowRoots as RowRoots
    from interlace_core.engine.row_correlation import row_deviations as row_deviations
    from interlace_core.engine.row_correlation import row_roots as row_roots
    from interlace_core.engine.structure import Blocks as Blocks
    from interlace_core.engine.structure import Factor as Factor
    from interlace_core.engine.structure import Segments as Segments

_HOMES = {
    "Blocks": "interlace_core.engine.structure",
    "Conditional": "interlace_core.engine.joint_density",
    "DEFAULT_SETTINGS": "interlace_core.engine.mode",
    "Factor": "interlace_core.engine.structure",
    "Factorisation": "interlace_core.engine.elimination.factorisation",
    "Layout": "interlace_core.engine.joint_density",
    "MAX_ROUNDS": "interlace_core.engine.other_modes",
    "Mode": "interlace_core.engine.mode",
    "ModeMemory": "interlace_core.engine.mode",
    "ModeSettings": "interlace_core.engine.mode",
    "NotPositiveDefiniteError": "interlace_core.engine.elimination.smallblocks",
    "Point": "interlace_core.engine.joint_density",
    "ROUNDING_LOOKED_AT": "interlace_core.engine.mode",
    "RowRoots": "interlace_core.engine.row_correlation",
    "Segments": "interlace_core.engine.structure",
    "curvature": "interlace_core.engine.mode",
    "factorise_posterior": "interlace_core.engine.elimination.correlated_levels",
    "is_converged": "interlace_core.engine.mode",
    "layout_of": "interlace_core.engine.joint_density",
    "lower_mode": "interlace_core.engine.other_modes",
    "lowest_mode": "interlace_core.engine.other_modes",
    "row_deviations": "interlace_core.engine.row_correlation",
    "row_roots": "interlace_core.engine.row_correlation",
    "sandwich": "interlace_core.engine.elimination.smallblocks",
    "scaled": "interlace_core.engine.joint_density",
    "scatter": "interlace_core.engine.joint_density",
    "subset": "interlace_core.engine.parts",
    "triangular_factor": "interlace_core.engine.gram",
    "value_noise": "interlace_core.engine.mode",
    "weighted_derivatives": "interlace_core.engine.joint_density",
}

__all__ = list(_HOMES)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'interlace_core.engine' has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return found
