"""Draw the README's picture: the reaction of 18 persons, and what the model says of them.

Usage: python docs/make_picture.py     (writes docs/_static/sleepstudy.png)
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt

import interlace
from interlace import datasets, plots


def main(path: Path) -> None:
    """Draw it."""
    sleep = datasets.load("sleepstudy")
    m = interlace.fit("Reaction ~ Days + (Days | Subject)", sleep)
    fig, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.6), width_ratios=(1.2, 1.0))
    plots.effects(m, "Days", sleep, by="Subject", ax=left)
    left.set(xlabel="days of little sleep", ylabel="reaction time (ms)")
    plots.effects(m, "Days", sleep, ax=right)
    right.set(xlabel="days of little sleep", ylabel="")
    fig.tight_layout()
    fig.savefig(path, dpi=150)


if __name__ == "__main__":
    main(Path(__file__).with_name("_static") / "sleepstudy.png")
