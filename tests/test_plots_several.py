"""Coefficients of several models and parts, effects, scaled residuals: numbers and words drawn."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.results.result import GLMMResult
from interlace_core.messages.errors import OptionError
from reference_fits import load_data

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")

from matplotlib import pyplot  # noqa: E402

from interlace import plots  # noqa: E402
from interlace.plots.canvas import LOG_TICKS, log_ticks  # noqa: E402


@pytest.fixture(autouse=True)
def figures_closed() -> Iterator[None]:
    yield
    pyplot.close("all")


@cache
def salamanders(family: str, zero: str | None) -> GLMMResult:
    return interlace.glmer(
        "count ~ mined + (1 | site)", load_data("Salamanders"), family, ziformula=zero
    )


@cache
def sleep() -> GLMMResult:
    return interlace.fit("Reaction ~ Days + (Days | Subject)", load_data("sleepstudy"))


@cache
def wine() -> GLMMResult:
    return interlace.clmm("rating ~ temp + contact + (1 | judge)", load_data("wine"))


@cache
def ticks() -> tuple[pd.DataFrame, GLMMResult]:
    data = load_data("grouseticks").assign(h=lambda d: (d["HEIGHT"] - d["HEIGHT"].mean()) / 50)
    return data, interlace.glmer("TICKS ~ YEAR + h + (1 | BROOD)", data, "poisson")


def marks(ax: object) -> dict[str, np.ndarray]:
    return {line.get_label(): line.get_xdata() for line in ax.lines if line.get_marker() != "None"}


def written(ax: object, axis: str = "y") -> list[str]:
    return [each.get_text() for each in getattr(ax, f"get_{axis}ticklabels")()]


def test_several_models_and_their_zero_parts_are_drawn_together() -> None:
    models = {
        "plain": salamanders("negativebinomial", None),
        "zeros": salamanders("poisson", "~ mined"),
    }
    axes = plots.coefficients(models, "all", exponentiate=True, labels={"mined[T.no]": "not mined"})
    assert [ax.get_title(loc="left") for ax in axes] == ["mean", "zero part (pi)"]
    count = {name: np.exp(each.fe_params["mined[T.no]"]) for name, each in models.items()}
    assert {name: x.item() for name, x in marks(axes[0]).items()} == pytest.approx(count)
    (zero,) = marks(axes[1])["zeros"]
    assert zero == pytest.approx(np.exp(models["zeros"].params_of("zero")["mined[T.no]"]))
    assert "rate ratio" in axes[0].get_xlabel() and "odds ratio" in axes[1].get_xlabel()
    assert written(axes[0]) == written(axes[1]) == ["not mined"]
    colours = [next(x for x in ax.lines if x.get_label() == "zeros").get_color() for ax in axes]
    assert colours[0] == colours[1]  # a model keeps its colour in every panel
    (legend,) = axes[0].figure.legends
    assert [each.get_text() for each in legend.get_texts()] == list(models)


def test_models_without_names_are_called_by_what_they_differ_in() -> None:
    ax = plots.coefficients([salamanders("poisson", "~ mined"), salamanders("poisson", "~ 1")])
    assert set(marks(ax)) == {
        "count ~ mined + (1 | site); ziformula ~ mined",
        "count ~ mined + (1 | site); ziformula ~ 1",
    }


def test_a_coefficient_that_one_model_lacks_has_its_row() -> None:
    small = interlace.fit("Reaction ~ 1 + (1 | Subject)", load_data("sleepstudy"))
    ax = plots.coefficients({"small": small, "large": sleep()}, intercept=True)
    assert written(ax) == ["Intercept", "Days"]
    assert marks(ax)["small"].size == 1 and marks(ax)["large"].size == 2


def test_ordinal_models_have_odds_ratios_and_thresholds() -> None:
    ax = plots.coefficients(wine(), exponentiate=True)
    assert "odds ratio" in ax.get_xlabel() and ax.get_xscale() == "log"
    np.testing.assert_allclose(ax.lines[-1].get_xdata(), np.exp(wine().fe_params))
    ax = plots.coefficients(wine(), intercept=True)
    assert written(ax)[2:] == ["1|2", "2|3", "3|4", "4|5"]
    assert "logit scale" in ax.get_xlabel()
    plain = plots.coefficients(sleep(), exponentiate=True)  # differences have no exponentials
    assert plain.get_xscale() == "linear"


def test_what_cannot_be_drawn_is_refused() -> None:
    fits = [salamanders("poisson", "~ mined"), salamanders("poisson", "~ 1")]
    for call, said in (
        (lambda: plots.coefficients([]), "got none"),
        (lambda: plots.coefficients(["m"]), "got 'm'"),
        (lambda: plots.coefficients(fits[0], labels={"minned": "x"}), "'minned', which is not"),
        (lambda: plots.coefficients(fits[0], labels=["x"]), "must be a mapping"),
        (lambda: plots.coefficients(fits[0], "all", ax=pyplot.figure().subplots()), "2 axes"),
        (lambda: plots.coefficients([sleep(), fits[0]], exponentiate=True), "some of these"),
    ):
        with pytest.raises(OptionError, match=said):
            call()


@pytest.mark.parametrize(
    ("low", "high"),
    [(0.08, 1.1), (0.9, 1.1), (0.5, 80.0), (1e-6, 1e6), (0.97, 0.99), (3.0, 400.0), (1e-3, 1.2)],
)
def test_ticks_of_logarithmic_axes_are_few_round_and_spread(low: float, high: float) -> None:
    found = log_ticks(low, high)
    assert 2 <= len(found) <= LOG_TICKS
    assert all(low <= each <= high for each in found) and found == sorted(found)
    assert all(float(f"{each:.3g}") == pytest.approx(each, rel=1e-9) for each in found)


def test_logarithmic_axes_are_written_in_plain_numbers() -> None:
    ax = plots.coefficients(wine(), exponentiate=True)
    ax.figure.canvas.draw()
    texts = [text for text in written(ax, "x") if text]
    assert texts and all(float(text) > 0.0 and "\\" not in text for text in texts)


def test_effects_are_predictions_with_their_intervals_over_the_data() -> None:
    data = load_data("sleepstudy")
    ax = plots.effects(sleep(), "Days", data, level=0.9, labels={"Reaction": "ms"})
    x, y = ax.lines[-1].get_xdata(), ax.lines[-1].get_ydata()
    new = pd.DataFrame({"Days": x, "Subject": "308"})
    wanted = sleep().predict(new, include_re=False, interval="confidence", level=0.9)
    np.testing.assert_allclose(y, wanted["fit"])
    band = ax.collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(wanted["upper"].max())
    assert (x.min(), x.max()) == (0.0, 9.0) and ax.get_ylabel() == "ms"
    np.testing.assert_allclose(np.sort(ax.lines[0].get_ydata()), np.sort(data["Reaction"]))


def test_effects_by_levels_hold_others_and_have_a_legend() -> None:
    data, model = ticks()
    ax = plots.effects(model, "h", data, by="YEAR", raw=False)
    names = [each.get_text() for each in ax.get_legend().get_texts()]
    assert names == ["YEAR 95", "YEAR 96", "YEAR 97"]
    for line, year in zip(ax.lines, ("95", "96", "97"), strict=True):
        new = pd.DataFrame({"h": line.get_xdata(), "YEAR": year})
        np.testing.assert_allclose(line.get_ydata(), model.predict(new, include_re=False))
    held = plots.effects(model, "h", data, at={"YEAR": "97"}, raw=False).lines[0]
    np.testing.assert_allclose(held.get_ydata(), ax.lines[-1].get_ydata())


def test_effects_of_levels_are_estimated_means() -> None:
    data, model = ticks()
    ax = plots.effects(model, "YEAR", data, type="population", raw=False)
    new = pd.DataFrame({"YEAR": ["95", "96", "97"], "h": data["h"].mean()})
    np.testing.assert_allclose(
        ax.lines[-1].get_ydata(), model.predict(new, type="population"), rtol=1e-10
    )
    assert written(ax, "x") == ["95", "96", "97"]


def test_effects_by_group_have_the_groups_own_lines() -> None:
    ax = plots.effects(sleep(), "Days", load_data("sleepstudy"), by="Subject")
    lines = [line for line in ax.lines if line.get_linestyle() == "-"]
    assert len(lines) == 18 and ax.get_legend() is None
    slopes = [(line.get_ydata()[-1] - line.get_ydata()[0]) / 9.0 for line in lines]
    own = sleep().fe_params["Days"] + sleep().random_effects["Subject"]["Days"]
    np.testing.assert_allclose(np.sort(slopes), np.sort(own))


def test_effects_of_ordered_categories_are_their_probabilities() -> None:
    model, data = wine(), load_data("wine")
    ax = plots.effects(model, "temp", data)
    assert len(ax.lines) == 5
    total = sum(line.get_ydata() for line in ax.lines)
    np.testing.assert_allclose(total, 1.0)
    panels = plots.effects(model, "temp", data, by="contact", type="population", level=0.9)
    assert [each.get_title("left") for each in panels] == ["contact no", "contact yes"]
    rows = pd.DataFrame({"temp": ["cold", "warm"], "contact": "yes", "judge": "1"})
    found = model.predict(rows, type="population", interval="confidence", level=0.9)
    for line, bars, name in zip(panels[1].lines, panels[1].collections, model.levels, strict=True):
        np.testing.assert_allclose(line.get_ydata(), found[name, "fit"])
        ends = [segment[:, 1] for segment in bars.get_segments()]
        np.testing.assert_allclose(ends, found[name][["lower", "upper"]])
    assert len({line.get_marker() for line in panels[1].lines}) == 5
    with pytest.raises(OptionError, match="at most 6, got 9. Hold it with at="):
        plots.effects(model, "temp", data, by="judge")
    with pytest.raises(OptionError, match="'population', these averaged"):
        plots.effects(model, "temp", data, type="link")
    with pytest.raises(OptionError, match="expected 2 axes, one for each panel, got 1"):
        plots.effects(model, "temp", data, by="contact", ax=ax)


def test_lines_of_categories_differ_in_more_than_colour() -> None:
    data = load_data("sleepstudy")
    data["slow"] = (data["Reaction"] > 270).astype(int) + (data["Reaction"] > 330)
    model = interlace.clmm("slow ~ Days + (1 | Subject)", data)
    ax = plots.effects(model, "Days", data)
    assert len({line.get_linestyle() for line in ax.lines}) == 3
    found = model.predict(data.assign(Days=9.0).head(1), include_re=False)
    np.testing.assert_allclose([line.get_ydata()[-1] for line in ax.lines], found.iloc[0])


@pytest.mark.parametrize(
    ("kind", "what"),
    [("coefficients", ()), ("effects", ("Days", load_data("sleepstudy"))), ("caterpillar", ()),
     ("fitted", ()), ("path", ()), ("residuals", ()), ("profile", ("Days",))],
)  # fmt: skip
def test_a_fit_draws_itself(kind, what) -> None:
    drawn = np.ravel(sleep().plot(kind, *what))
    function = getattr(plots, kind)
    given = sleep().profile("Days") if kind == "profile" else sleep()
    expected = np.ravel(function(given, *(() if kind == "profile" else what)))
    assert len(drawn) == len(expected)
    for one, other in zip(drawn, expected, strict=True):
        for a, b in zip(one.lines, other.lines, strict=True):
            np.testing.assert_array_equal(a.get_xydata(), b.get_xydata())
    with pytest.raises(OptionError, match="plot: kind"):
        sleep().plot("coefficient")


def test_effects_refuse_columns_that_the_model_has_not() -> None:
    data = load_data("sleepstudy")
    with pytest.raises(OptionError, match="'Days', or|Days, Subject.*got 'Dys'.*'Days'"):
        plots.effects(sleep(), "Dys", data)
    with pytest.raises(OptionError, match="type must be one of"):
        plots.effects(sleep(), "Days", data, type="prob")


def test_scaled_residuals_have_their_tests_in_the_panel() -> None:
    model = salamanders("poisson", "~ mined")
    found = model.scaled_residuals(99, seed=4)
    left, right = plots.scaled_residuals(model, found)
    np.testing.assert_allclose(left.lines[-1].get_ydata(), np.sort(found.values))
    table = found.tests()
    assert len(left.texts) == 4
    for text, (name, row) in zip(left.texts, table.iterrows(), strict=True):
        assert text.get_text().startswith(f"{name} {row['statistic']:.3g}, p ")
        assert (text.get_fontweight() == "bold") == (row["pvalue"] < 0.05)
    np.testing.assert_allclose(right.lines[0].get_ydata(), found.values)
    with pytest.raises(OptionError, match="two axes"):
        plots.scaled_residuals(model, found, axes=[left])
    with pytest.raises(OptionError, match="644 rows, got 180"):
        plots.scaled_residuals(model, sleep().scaled_residuals(20))


def test_panels_are_as_wide_whatever_is_written_in_them() -> None:
    for model in (salamanders("poisson", "~ mined"), sleep()):
        panels = plots.scaled_residuals(model, n=50)
        panels[0].figure.draw_without_rendering()
        widths = [each.get_position().width for each in panels]
        assert min(widths) > 0.35, widths


def test_no_zeros_no_test_of_zeros() -> None:
    left, _ = plots.scaled_residuals(sleep(), n=50)
    assert [each.get_text().split()[0] for each in left.texts] == [
        "uniformity", "dispersion", "outliers",
    ]  # fmt: skip
