"""Compiled rows of families, and compiled objectives, in plain C without the API of Python.

Everything works without: `library()` is None where there was no compiler when this was installed.
"""

from pathlib import Path

from interlace_core.contract import Kernels, hookimpl

__all__ = ["include", "interlace_kernels"]


@hookimpl
def interlace_kernels() -> list[type[Kernels]]:
    """Return the kernels of this distribution."""
    from interlace_kernels.kernels import CompiledKernels

    return [CompiledKernels]


def include() -> str:
    """Return the folder of the headers `interlace_kernel.h` and `interlace_math.h`."""
    return str(Path(__file__).parent / "include")
