"""Pictures: what is drawn are the fit's numbers, and matplotlib comes in only when asked for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import cache

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace import datasets
from interlace.results.result import GLMMResult
from interlace_core.messages.errors import OptionError

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")

from matplotlib import pyplot  # noqa: E402

from interlace import plots  # noqa: E402


@pytest.fixture(autouse=True)
def figures_closed() -> Iterator[None]:
    yield
    pyplot.close("all")


@cache
def sleepstudy() -> GLMMResult:
    return interlace.glmer(
        "Reaction ~ Days + (Days | Subject)", datasets.load("sleepstudy"), "gaussian"
    )


@cache
def crossed() -> GLMMResult:
    return interlace.glmer(
        "TICKS ~ YEAR + (1 | BROOD) + (1 | LOCATION)", datasets.load("grouseticks"), "poisson"
    )


def names(axes: object) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


def points(axes: object, line: int = -1) -> tuple[np.ndarray, np.ndarray]:
    return axes.lines[line].get_xdata(), axes.lines[line].get_ydata()


def test_coefficients_are_drawn_at_their_estimates_the_first_on_top() -> None:
    ax = plots.coefficients(crossed())
    x, y = points(ax)
    np.testing.assert_allclose(x, crossed().fe_params.drop("Intercept"))
    assert names(ax) == ["YEAR[T.96]", "YEAR[T.97]"] and y[0] > y[1]
    low, high = np.array([part[:, 0] for part in ax.collections[0].get_segments()]).T
    expected = crossed().conf_int(0.95).drop("Intercept")
    np.testing.assert_allclose(low, expected["lower"])
    np.testing.assert_allclose(high, expected["upper"])


def test_coefficients_are_exponentiated_on_a_logarithmic_axis() -> None:
    _, given = matplotlib.pyplot.subplots()
    ax = plots.coefficients(crossed(), exponentiate=True, intercept=True, ax=given)
    assert ax is given and ax.get_xscale() == "log"
    np.testing.assert_allclose(points(ax)[0], np.exp(crossed().fe_params))
    with pytest.raises(OptionError, match="intercept=True"):
        plots.coefficients(crossed(), "mu", level=0.9) and plots.coefficients(
            interlace.glmer("Reaction ~ 1", datasets.load("sleepstudy"), "gaussian")
        )


def test_caterpillar_sorts_levels_and_draws_conditional_intervals() -> None:
    axes = plots.caterpillar(sleepstudy())
    effects = sleepstudy().random_effects["Subject"]
    assert len(axes) == 2
    for ax, column in zip(axes, effects, strict=True):
        ordered = effects[column].sort_values(ascending=False)
        np.testing.assert_allclose(points(ax)[0], ordered)
        assert names(ax) == list(ordered.index)
    with pytest.raises(OptionError, match="'BROOD', 'LOCATION'"):
        plots.caterpillar(crossed())
    with pytest.raises(OptionError, match="2 column"):
        plots.caterpillar(sleepstudy(), ax=axes[0])


def test_caterpillar_writes_other_names() -> None:
    labels = {"Intercept": "level", "308": "the first"}
    left, right = plots.caterpillar(sleepstudy(), labels=labels)
    assert (left.get_title(), right.get_title()) == ("level | Subject", "Days | Subject")
    assert "the first" in names(left) and "308" not in names(right)
    with pytest.raises(OptionError, match="labels name 'Day'.* and 9 more"):
        plots.caterpillar(sleepstudy(), labels={"Day": "x"})


def test_fitted_draws_rows_and_averages_of_groups() -> None:
    data = datasets.load("sleepstudy")
    ax = plots.fitted(sleepstudy(), data)
    x, y = points(ax, 0)
    np.testing.assert_allclose(x, sleepstudy().fittedvalues)
    np.testing.assert_allclose(y, data["Reaction"])
    np.testing.assert_allclose(
        np.sort(points(ax)[1]), np.sort(data.groupby("Subject", observed=True)["Reaction"].mean())
    )
    assert "fitted without" in plots.fitted(sleepstudy(), include_re=False).get_xlabel()
    with pytest.raises(OptionError, match="data="):
        plots.fitted(sleepstudy(), group="Subject")
    with pytest.raises(OptionError, match="'Subject'"):
        plots.fitted(sleepstudy(), data, group="nest")


def test_path_ends_at_the_optimum() -> None:
    upper, lower = plots.path(crossed())
    assert points(upper)[1][-1] < 1e-6
    assert len(points(lower)[0]) == len(crossed().fit.path)


def test_residuals_in_four_panels_are_those_of_the_result() -> None:
    panels = plots.residuals(crossed(), seed=3)
    values = crossed().residuals("quantile", seed=3).to_numpy()
    np.testing.assert_allclose(points(panels[0], 0)[1], values)
    np.testing.assert_allclose(points(panels[1], 0)[1], np.sort(values))
    np.testing.assert_allclose(points(panels[2], 0)[1], np.sqrt(np.abs(values)))
    effects = [column for group in crossed().effects.values() for column in group.values.T]
    assert len(points(panels[3], 0)[0]) == sum(map(len, effects))
    plain = interlace.glmer("Reaction ~ Days", datasets.load("sleepstudy"), "gaussian")
    pearson = plots.residuals(plain, kind="pearson", axes=panels)
    assert pearson[0] is panels[0] and "no random effects" in pearson[3].texts[-1].get_text()
    with pytest.raises(OptionError, match="four axes"):
        plots.residuals(crossed(), axes=panels[:2])


def test_residuals_of_a_normal_sample_lie_on_the_line() -> None:
    x, y = points(plots.residuals(sleepstudy())[1], 0)
    # 180 nearly normal values: their quantiles have a standard error of at most 0.2 within +-2.
    inside = np.abs(x) < 1.5
    assert np.max(np.abs(y - x)[inside]) < 0.6


def test_profile_marks_the_interval_on_the_curve() -> None:
    found = sleepstudy().profile(["Days", "sd(Days | Subject)"])
    panels = plots.profile(found, level=0.9)
    limits = found.confint(0.9)
    for ax, name in zip(panels, limits.index, strict=True):
        ends, heights = points(ax)
        np.testing.assert_allclose(ends, limits.loc[name])
        np.testing.assert_allclose(heights, [-1.6448536, 1.6448536])
        values, zeta = points(ax, -2)
        assert np.all(np.diff(values) > 0) and np.all(np.diff(zeta) > 0)
        assert ax.get_title() == name
    with pytest.raises(OptionError, match="2 axes"):
        plots.profile(found, axes=panels[:1])


def test_plain_import_and_fit_need_neither_matplotlib_nor_other_extras() -> None:
    code = (
        "import sys, interlace; from interlace import datasets\n"
        "m = interlace.glmer('Reaction ~ Days', datasets.load('sleepstudy'), 'gaussian')\n"
        "m.summary(), m.tidy()\n"
        "heavy = {'matplotlib', 'sklearn', 'marginaleffects', 'tqdm'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_fitted_of_ordered_categories_draws_shares_by_tenths_of_probability() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=200)
    rating = np.digitize(x + rng.logistic(size=200), [-1.0, 1.0]) + 1
    data = pd.DataFrame({"x": x, "rating": rating, "g": np.repeat(np.arange(10), 20)})
    fit = interlace.clmm("rating ~ x + (1 | g)", data)
    ax = plots.fitted(fit)
    diagonal, *lines = ax.get_lines()
    assert [line.get_label() for line in lines] == ["1", "2", "3"]
    for j, line in enumerate(lines):
        mean, share = line.get_data()
        assert len(mean) == 10
        assert np.mean(mean) == pytest.approx(fit.predict().iloc[:, j].mean())
        assert np.mean(share) == pytest.approx(np.mean(rating == j + 1))
    assert ax.get_ylabel() == "share observed"


def test_coefficients_of_a_linear_model_have_its_t_intervals() -> None:
    sleep = interlace.fit("Reaction ~ Days + (Days | Subject)", datasets.load("sleepstudy"))
    ax = plots.coefficients(sleep)
    (segment,) = ax.collections[0].get_segments()
    assert segment[:, 0] == pytest.approx(sleep.conf_int().loc["Days"].to_numpy())


def test_profile_of_a_result_says_what_to_write() -> None:
    sleep = interlace.fit("Reaction ~ Days + (1 | Subject)", datasets.load("sleepstudy"))
    with pytest.raises(OptionError, match=r"plots\.profile\(result\.profile\(\)\)"):
        plots.profile(sleep)
