"""Count the files of ours that one warm `glmer` fit runs through, room by room.

What a reader has to open who wants to follow a fit: fewer is better. Run by
`python benchmarks/files_of_a_fit.py`; modules that are only imported do not count, nor does the
first fit, which looks plugins up.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import interlace
from interlace import datasets

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Print how many functions of each file were called, and the number of files."""
    passed = files_passed(fit_cbpp)
    for name, functions in sorted(passed.items()):
        print(f"{functions:4d} functions  {name}")
    print(f"{len(passed)} files, {sum(passed.values())} functions")


CBPP = datasets.load("cbpp")


def fit_cbpp(kernels: bool = True) -> object:
    """Fit the model of the README, with compiled code or without."""
    return interlace.glmer(
        "incidence / size ~ period + (1 | herd)",
        data=CBPP,
        family="binomial",
        weights="size",
        kernels=None if kernels else False,
    )


def files_passed(fit: Callable[[], object]) -> dict[str, int]:
    """Return for each file of the repository how many of its functions a second call runs."""
    fit()
    called: set[tuple[str, str, int]] = set()

    def see(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            code = frame.f_code
            called.add((code.co_filename, code.co_qualname, code.co_firstlineno))

    sys.setprofile(see)
    try:
        fit()
    finally:
        sys.setprofile(None)
    ours = (Path(file) for file, name, _ in called if name != "<module>")
    return Counter(shown(path) for path in ours if is_ours(path))


def is_ours(path: Path) -> bool:
    """Return whether a file is source of the repository, not of an environment or a benchmark."""
    within = path.is_relative_to(ROOT) and not path.is_relative_to(ROOT / ".venv")
    return within and not path.is_relative_to(ROOT / "benchmarks")


def shown(path: Path) -> str:
    """Return a path of the repository without the folders that distributions share."""
    return path.relative_to(ROOT).as_posix().replace("/src/", "/")


if __name__ == "__main__":
    main()
