"""What results show of themselves: little text at the prompt, escaped HTML in a notebook."""

from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

import interlace

EVIL = "<script>alert(1)</script>"
LINES = 16
"""Of a result at the prompt, at most; a fit of many rows shows no more than one of few."""


@pytest.fixture(scope="module")
def model():
    """A fit of 2,000 rows with 120 groups, one of which is called by a script."""
    rng = np.random.default_rng(5)
    group = rng.integers(0, 120, 2000)
    x = rng.normal(size=2000)
    y = rng.poisson(np.exp(0.3 + 0.2 * x + rng.normal(0, 0.5, 120)[group]))
    labels = np.array([EVIL, *(f"g{k}" for k in range(1, 120))])[group]
    return interlace.glmer(
        "y ~ x", pd.DataFrame({"y": y, "x": x, "g": labels}), "poisson", groups="g"
    )


@pytest.fixture(scope="module")
def results(model):
    power = interlace.power(
        "y ~ x + (1 | g)", pd.DataFrame({"x": np.arange(40.0) / 40, "g": np.repeat(range(8), 5)}),
        "poisson", fixed={"Intercept": 1.0, "x": 1.0}, sd={"g": 0.2}, test="x", n=3, seed=1,
    )  # fmt: skip
    return {
        "r2": model.r2(),
        "accuracy": model.accuracy(n=50),
        "influence": model.influence(exact=1),
        "scaled_residuals": model.scaled_residuals(n=20),
        "bootstrap": model.bootstrap(4, seed=1),
        "profile": model.profile("x", points=5),
        "power": power,
    }


NAMES = ("r2", "accuracy", "influence", "scaled_residuals", "bootstrap", "profile", "power")


class Reader(HTMLParser):
    """Collects the text of cells, and tags that are opened and not closed."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.text = [], set(), []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.seen.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text += data.split()


@pytest.mark.parametrize("name", NAMES)
def test_text_is_short_and_says_the_same_as_html(results, name):
    shown = results[name]
    text = repr(shown)
    assert text == str(shown) and len(text.splitlines()) <= LINES and len(text) < 1500
    assert f"{type(shown).__name__}(" not in text and "array(" not in text
    reader = Reader()
    reader.feed(shown._repr_html_())
    assert reader.open == [] and "script" not in reader.seen
    assert reader.text == text.split()


def test_an_explanation_says_the_same_in_a_notebook():
    data = interlace.datasets.load("cbpp")
    fit = interlace.glmer(
        "incidence / size ~ period + (1 | herd)", data, "binomial", weights="size"
    )
    told, reader = fit.explain(), Reader()
    reader.feed(told._repr_html_())
    assert reader.open == [] and "script" not in reader.seen
    assert {"p", "ul", "li"} <= set(reader.seen)
    words = [each for each in str(told).split() if each != "-"]
    equations = " \\\\ ".join(told.equations).split()
    begin, end = "$$\\begin{aligned}", "\\end{aligned}$$"
    assert reader.text == [begin, *equations, end, *words]


def test_numbers_shown_are_the_results_own(results):
    influence, profile = results["influence"], results["profile"]
    assert f"{influence.cook.iloc[0]:.5f}" in repr(influence)
    assert f"{influence.exact_cook.iloc[0]:.5f}" in repr(influence)
    assert "and 115 more" in repr(influence) and "120 clusters" in repr(influence)
    limits = profile.confint().loc["x"]
    assert f"{limits['lower']:.5f}" in repr(profile) and f"{limits['upper']:.5f}" in repr(profile)
    assert f"{results['bootstrap'].bse['x']:.5f}" in repr(results["bootstrap"])
    test = results["scaled_residuals"].test_dispersion()
    assert f"{test.statistic:.5f}" in repr(results["scaled_residuals"])
    assert f"{results['r2'].icc:.4f}" in repr(results["r2"])
    assert f"power {results['power'].power:.3f}" in repr(results["power"])


def test_an_evil_label_is_text():
    table = interlace.reporting.showing.as_table(EVIL, pd.DataFrame({EVIL: [1.0]}, index=[EVIL]))
    assert "<script" not in table.to_html() and table.to_html().count("&lt;script&gt;") == 3


def test_a_table_is_cut_after_its_largest_rows():
    frame = pd.DataFrame({"a": np.arange(30.0)})
    text = interlace.reporting.showing.as_table("", frame, 4).to_text()
    assert len(text.splitlines()) == 1 + 4 + 1 and "and 26 more" in text
    assert "more" not in interlace.reporting.showing.as_table("", frame, 30).to_text()


def test_a_bootstrap_without_an_answer_says_so():
    from interlace.inference.bootstrap import Bootstrap, Failure

    failed = Bootstrap(pd.DataFrame(), pd.Series(dtype=float), (Failure(0, "no"), Failure(1, "no")))
    assert repr(failed) == "Parametric bootstrap, 0 draws, 2 failed (see failures)"


@pytest.mark.parametrize("part", ["fit", "training", "effects"])
def test_parts_of_a_fit_are_short_too(model, part):
    assert len(repr(getattr(model, part))) < 400
    assert "array(" not in repr(getattr(model, part))
