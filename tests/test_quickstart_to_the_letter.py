"""The quickstart that interlace was ordered by, run to the letter, with data in place of its dots.

Its code is found by reading: the longest runs of lines that are Python. What replaces the dots is
below and nowhere else; imports, names, arguments and prints are those of the page.
"""

import ast
import contextlib
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace_core.registry.registry import default_registry

PAGE = Path(__file__).parent / "data" / "quickstart_to_the_letter.txt"
LINES = PAGE.read_text("utf-8").splitlines()
LONGEST = 40
"""Lines of a block of code, at most."""

CODE = ("import ", "from ", "print(", "result =", "probs", "logits", "df", "groups=", "}", ")", "#")
"""How lines of code on the page begin, and its prose does not."""

R = {
    "coefficients": (-0.9323576884, -0.5594010353),
    "variance": 0.4405257212,
    "aic": 192.5693259,
    "bic": 198.6453810,
    "variance of 25 points": 0.4477716164,
    "response": (0.28753785602, 0.02973993432),
    "link": (-0.9073722548, -3.4850734120),
    "without effects": (0.1836578994, 0.0403118921),
}
"""lme4 1.1-31: glmer(incidence / size ~ period + (1 | herd), weights = size, binomial) of cbpp with
period as a number, glmerControl("bobyqa", optCtrl = list(rhoend = 1e-9), tolPwrss = 1e-13), since
its default leaves 2e-4 in the coefficients; predictions of period 1 in herd 1 and 4 in herd 2."""

TOL_REL = 1e-5
"""Agreement with it: of a search without gradients to 1e-9, in a bowl, half the digits."""


def blocks(lines):
    """Return (number of the first line, code) of each run of lines that is Python."""
    found, start = [], 0
    while start < len(lines):
        ends = range(min(start + LONGEST, len(lines)), start, -1)
        code = next((text for end in ends if is_code(text := "\n".join(lines[start:end]))), None)
        if code is not None:
            found.append((start + 1, code.rstrip()))
        start += 1 if code is None else code.count("\n") + 1
    return found


def is_code(text):
    """Return whether a text is Python that does something."""
    try:
        return bool(ast.parse(text).body)
    except SyntaxError:
        return False


BLOCKS = blocks(LINES)


class DataInPlaceOfDots(ast.NodeTransformer):
    """Puts data where the page has dots: ends of columns, a model, a number."""

    def __init__(self, columns):
        self.columns = columns

    def visit_Dict(self, node):
        """Go on with each column after the numbers that the page shows of it."""
        for k, (key, values) in enumerate(zip(node.keys, node.values, strict=True)):
            column = self.columns[key.value]
            shown = [each.value for each in values.elts if each.value is not ...]
            assert shown == column[: len(shown)] and len(shown) == len(values.elts) - 1
            node.values[k] = ast.parse(repr(column), mode="eval").body
        return node

    def visit_Call(self, node):
        """Give the model of the page's beginning to a fit that is of any."""
        self.generic_visit(node)
        if any(isinstance(each, ast.Constant) and each.value is ... for each in node.args):
            assert len(node.args) == 1
            model = 'f("incidence / size ~ period", df, "binomial", weights=df["size"].values)'
            call = ast.parse(model, mode="eval").body
            node.args, node.keywords = call.args, [*call.keywords, *node.keywords]
        return node

    def visit_keyword(self, node):
        """Give a number to a parameter."""
        self.generic_visit(node)
        if isinstance(node.value, ast.Constant) and node.value.value is ...:
            node.value = ast.Constant(2.0)
        return node


def herds():
    """Return cbpp as the page types it: numbers all."""
    return interlace.datasets.load("cbpp").astype(int)


def counts():
    """Return counts with the columns that the page names, more spread than Poisson's."""
    rng = np.random.default_rng(4)
    site, year = np.repeat(np.arange(20), 12), np.tile(np.arange(12), 20)
    x1, x2 = rng.normal(size=(2, site.size))
    eta = 1.0 + 0.4 * x1 - 0.3 * x2 + rng.normal(0, 0.5, 20)[site] + rng.normal(0, 0.3, 12)[year]
    spread = rng.gamma(2.0, 0.5, site.size)
    count = rng.poisson(np.exp(eta) * spread)
    return pd.DataFrame({"count": count, "x1": x1, "x2": x2, "site": site, "year": year})


@pytest.fixture(scope="module")
def page():
    """Run every block in order; return the namespace after each, and what it printed."""
    namespace, seen = {"__name__": "page"}, {}
    data = {"herds": herds(), "counts": counts()}
    for line, code in BLOCKS:
        tree = DataInPlaceOfDots(data["herds"].to_dict("list")).visit(ast.parse(code))
        if "import pandas" not in code:
            namespace["df"] = data["counts" if "count ~" in code else "herds"]
            namespace["df_new"] = pd.DataFrame({"period": [1, 4], "herd": [1, 2]})
        if code.startswith("family="):  # an argument in prose, before any import of the page
            tree = ast.parse(f"from interlace import NegativeBinomial2Family\n{ast.unparse(tree)}")
        before = dict(namespace)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(ast.fix_missing_locations(tree), str(PAGE), "exec"), namespace)
        new = {k: v for k, v in namespace.items() if before.get(k) is not v}
        seen[line] = (new, printed.getvalue())
    return seen


def at(page, text):
    """Return what the block has that holds this line of the page."""
    line = next(line for line, code in BLOCKS if text in code)
    return page[line]


def test_every_line_of_code_is_in_a_block():
    inside = {line + k for line, code in BLOCKS for k in range(code.count("\n") + 1)}
    outside = [each for k, each in enumerate(LINES, 1) if k not in inside and each.startswith(CODE)]
    assert outside == []
    assert len(BLOCKS) == 9 and len(inside) == 78
    assert sum("interlace.glmer(" in LINES[k - 1] for k in inside) == 8


def test_every_line_runs(page):
    assert len(page) == len(BLOCKS)


def test_the_first_model_is_that_of_lme4(page):
    new, printed = at(page, "import interlace")
    result = new["result"]
    assert printed == ""
    assert result.fe_params.to_numpy() == pytest.approx(R["coefficients"], rel=TOL_REL)
    assert result.variance_components["herd"] == pytest.approx(R["variance"], rel=TOL_REL)
    _, printed = at(page, "# Did it converge?")
    assert f"AIC: {R['aic']:.1f} BIC: {R['bic']:.1f}" in printed.splitlines()
    assert printed.splitlines()[-1] == "True" and result.converged is True
    assert "Intercept" in printed and "period" in printed and "'herd': 0.44" in printed


def test_predictions_are_on_the_scales_that_the_page_says(page):
    new, _ = at(page, "probs = ")
    assert new["probs"].to_numpy() == pytest.approx(R["response"], rel=TOL_REL)
    assert new["logits"].to_numpy() == pytest.approx(R["link"], rel=TOL_REL)
    assert new["probs_marginal"].to_numpy() == pytest.approx(R["without effects"], rel=TOL_REL)


def test_crossed_intercepts_have_effects_by_level(page):
    new, printed = at(page, 'groups=["site", "year"]')
    result = new["result"]
    assert list(result.fe_params.index) == ["Intercept", "x1", "x2"]
    assert len(result.random_effects["site"]) == 20 and len(result.random_effects["year"]) == 12
    assert printed.count("Name: Intercept") == 2


def test_theta_given_is_fixed_and_small_is_more_spread(page):
    new, printed = at(page, "from interlace import NegativeBinomial2Family")
    result, poisson = new["result"], new["result_pois"]
    assert bool(result.family_params.loc["theta", "fixed"])
    assert result.family_params.loc["theta", "value"] == 2.0 and result.df == poisson.df
    assert f"NB AIC: {result.aic:.1f} Poisson AIC: {poisson.aic:.1f}" in printed
    assert result.aic < poisson.aic  # the counts are more spread than Poisson's
    family = interlace.NegativeBinomial2Family
    eta = [np.array([1.0]), np.array([0.0])]
    spread = [float(family(t).variance([eta[0], np.log([t])])[0]) for t in (0.5, 2.0, 8.0)]
    assert spread[0] > spread[1] > spread[2]


def test_groups_and_random_are_equivalent(page):
    new, _ = at(page, "# These are equivalent:")
    by_groups = at(page, "import interlace")[0]["result"]
    assert new["result"].llf == pytest.approx(by_groups.llf, abs=1e-9)
    assert list(new["result"].random_effects) == ["herd"]


def test_the_other_optimizer_reaches_the_same_optimum(page):
    first, other = at(page, "import interlace")[0]["result"], at(page, 'optimizer="bobyqa"')[0]
    assert first.settings["optimizer"].startswith("LBFGSB")  # "The default optimizer is L-BFGS-B"
    assert other["result"].settings["optimizer"].startswith("BOBYQA")
    assert other["result"].llf == pytest.approx(first.llf, abs=1e-7)


def test_quadrature_is_that_of_lme4(page):
    result = at(page, "nAGQ=25")[0]["result"]
    assert result.variance_components["herd"] == pytest.approx(
        R["variance of 25 points"], rel=TOL_REL
    )
    assert str(result.fitted_by) == "agq, 25 points"


@pytest.mark.parametrize("terms", [["(1 | herd)", "(1 | period)"], ["(1 + period | herd)"]])
def test_more_points_are_refused_where_the_page_says_so(terms):
    """ "exactly one grouping factor with a random intercept only"."""
    with pytest.raises(interlace.errors.UnsupportedModelError, match="nAGQ=1"):
        interlace.glmer(
            "incidence / size ~ period", herds(), "binomial", random=terms, weights="size", nAGQ=10
        )


def test_every_family_that_the_page_names_is_there():
    """Strings of the page, and "NB1, Beta, Gamma, ZIP, ZINB2, Hurdle, ZOIB" of its last section."""
    names = ["binomial", "poisson", "NB1", "Beta", "Gamma", "ZIP", "ZINB2", "ZOIB"]
    assert all(default_registry().family(each) for each in names)
    assert default_registry().family("hurdle_poisson")
