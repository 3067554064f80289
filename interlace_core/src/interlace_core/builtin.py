"""The core's own plugin: its covariance structures, through the same door as anyone else's.

The entry point in this distribution's pyproject.toml is

    [project.entry-points.interlace]
    core = "interlace_core.builtin"
"""

from __future__ import annotations

from collections.abc import Sequence

from interlace_core.contracts import Covariance
from interlace_core.covariance import Diagonal, Unstructured
from interlace_core.hookspecs import hookimpl


@hookimpl
def interlace_covariances() -> Sequence[type[Covariance]]:
    """Return the unstructured and the diagonal covariance."""
    return [Unstructured, Diagonal]
