"""Colours of pictures are told apart by readers without one of the three kinds of cones.

Dichromats are simulated in linear RGB by the matrices of Machado, Oliveira & Fernandes (2009, table
1, severity 1.0, IEEE TVCG 15, 1291-1298); distances are Euclidean in CIE L*a*b* (D65), where 2.3 is
just noticeable side by side, and thin lines and small marks need several times that.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

import interlace
from interlace import datasets, plots
from interlace.plots.colours import DARK, LIGHT, MARKS, category_colours, colours_on, style_of

LEAST = 25.0

CATEGORIES = 15.0
"""Less: they are in order, and each has a dash or a mark of its own."""

DEFICIENCIES = {
    "none": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
         [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
         [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
         [0.004733, 0.691367, 0.303900]]
    ),
}  # fmt: skip

RGB_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
     [0.0193339, 0.1191920, 0.9503041]]
)  # fmt: skip


def linear(colour: str) -> np.ndarray:
    s = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255.0
    return np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    xyz = RGB_TO_XYZ @ np.clip(rgb, 0.0, 1.0) / (RGB_TO_XYZ @ np.ones(3))
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16.0 / 116.0)
    return np.array([116.0 * f[1] - 16.0, 500.0 * (f[0] - f[1]), 200.0 * (f[1] - f[2])])


def least_distance(colours: tuple[str, ...], deficiency: str) -> float:
    seen = [lab(DEFICIENCIES[deficiency] @ linear(colour)) for colour in colours]
    return min(float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2))


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
@pytest.mark.parametrize(
    "colours",
    [
        (*LIGHT.palette, "#ffffff"), (LIGHT.ink, LIGHT.accent, LIGHT.pale, "#ffffff"),
        (*DARK.palette, "#000000"), (DARK.ink, DARK.accent, DARK.pale, "#000000"),
        (*DARK.palette, "#1e1e1e"),
    ],
    ids=["palette on white", "ink on white", "palette on black", "ink on black", "on dark grey"],
)  # fmt: skip
def test_colours_are_apart_for_every_reader(colours: tuple[str, ...], deficiency: str) -> None:
    assert least_distance(colours, deficiency) >= LEAST


def test_the_distance_tells_a_palette_that_is_not_safe() -> None:
    assert least_distance(("#d62728", "#2ca02c"), "deuteranopia") < 0.5 * least_distance(
        ("#d62728", "#2ca02c"), "none"
    )


def test_colour_is_never_the_only_difference() -> None:
    styles = [style_of(i) for i in range(2 * len(LIGHT.palette))]
    assert len({tuple(each.values()) for each in styles}) == len(styles)
    assert len({each["marker"] for each in styles[: len(LIGHT.palette)]}) == len(MARKS)


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_ordered_categories_are_apart_and_in_order(count, colours, deficiency) -> None:
    rgb = category_colours(count, colours)[:, :3]
    linear_rgb = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = [lab(DEFICIENCIES[deficiency] @ each) for each in linear_rgb]
    assert min(float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2)) >= CATEGORIES
    assert (np.diff([each[0] for each in seen]) > 0.0).all()  # lighter and lighter


def test_colours_follow_the_background() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    from matplotlib import pyplot

    data = datasets.load("cbpp")
    model = interlace.glmer(
        "incidence / size ~ period + (1 | herd)", data, "binomial", weights="size"
    )
    for style, expected in (("default", LIGHT), ("dark_background", DARK)):
        with pyplot.style.context(style):
            ax = plots.effects(model, "period", data)
            assert colours_on(ax) is expected
            assert ax.lines[-1].get_color() == expected.palette[0]
    ax.set_facecolor("none")
    ax.figure.set_facecolor("#202020")
    assert colours_on(ax) is DARK
    ax.figure.set_facecolor("none")  # nothing is known of what stands behind
    assert colours_on(ax) is LIGHT
    pyplot.close("all")
