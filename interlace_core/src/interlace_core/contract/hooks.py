"""The whole plugin contract on one screen.

A distribution registers by an entry point in the group `interlace`, pointing at a module (or
an object) with any of the functions below, each decorated with `interlace_core.hookimpl`:

    [project.entry-points.interlace]
    my-families = "my_package"
"""

from __future__ import annotations

from collections.abc import Sequence

import pluggy

from interlace_core.contract.approximation import Approximation
from interlace_core.contract.composition import Composition
from interlace_core.contract.covariance import Covariance
from interlace_core.contract.family import Family
from interlace_core.contract.frames import Frames
from interlace_core.contract.kernels import Kernels
from interlace_core.contract.optimizer import Optimizer

PROJECT = "interlace"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def interlace_families() -> Sequence[type[Family]]:  # type: ignore[empty-body]
    """Return family classes."""


@hookspec
def interlace_approximations() -> Sequence[type[Approximation]]:  # type: ignore[empty-body]
    """Return approximation classes."""


@hookspec
def interlace_optimizers() -> Sequence[type[Optimizer]]:  # type: ignore[empty-body]
    """Return optimizer classes."""


@hookspec
def interlace_covariances() -> Sequence[type[Covariance]]:  # type: ignore[empty-body]
    """Return covariance-structure classes."""


@hookspec
def interlace_compositions() -> Sequence[type[Composition]]:  # type: ignore[empty-body]
    """Return classes of families that are made of other families."""


@hookspec
def interlace_frames() -> Sequence[type[Frames]]:  # type: ignore[empty-body]
    """Return classes that open data which lie in pieces elsewhere, such as those of a cluster."""


@hookspec
def interlace_kernels() -> Sequence[type[Kernels]]:  # type: ignore[empty-body]
    """Return classes of compiled code for families and approximations of any distribution."""
