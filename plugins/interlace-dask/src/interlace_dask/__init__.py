"""Dask DataFrames on the workers of a cluster, for fits of interlace.

Dask itself is imported when data of its kind come, which is after somebody else imported it.
"""

from interlace_core.contract import Frames, hookimpl
from interlace_dask.frames import DaskFrames

__all__ = ["DaskFrames"]


@hookimpl
def interlace_frames() -> list[type[Frames]]:
    """Return what opens Dask DataFrames."""
    return [DaskFrames]
