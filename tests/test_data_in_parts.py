"""Data that are read part by part give the fit that all of them together give."""

import errno
import pickle

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.data.request import ModelRequest
from interlace.errors import DataError, NotAvailableError, OptionError, UnsupportedModelError
from interlace.fits import options_in_force, prepared
from interlace.inference.draws import generators
from interlace.parts import aside
from interlace.parts.drawing import problem_of_draw
from interlace.parts.engine import LocalParts
from interlace_approximations.laplace import Laplace
from interlace_core.contract.parts import Sums
from interlace_core.contract.problem import Problem
from interlace_core.engine.compiled import CompiledRows
from interlace_core.engine.layout import Layout, layout_of
from interlace_core.messages.errors import OutOfMemoryError
from invariance import assert_covariances_agree
from test_fit_in_parts import table

pq = pytest.importorskip("pyarrow.parquet")

FORMULA = "k ~ center(x) + f + (1 + x | g)"


@pytest.fixture(scope="module")
def data():
    d = table()
    d["f"] = d["f"].astype(object)
    d.loc[[3, 77, 200], "x"] = np.nan
    d["t"] = "g" + d["g"].astype(str)
    d["cat"] = pd.Categorical(np.where(d["c"] > 1, "much", "little"), ["little", "much"])
    d["yes"] = d["k"] > 1
    d["word"] = np.where(d["yes"], "yes", "no")
    d["level"] = pd.Categorical.from_codes(d["c"], ["none", "some", "more", "most"], ordered=True)
    return d


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("parts")
    for k in range(4):
        rows = data[data["g"] % 4 == k]
        # a category that is nowhere else, and one that is missing here
        rows = rows if k else rows.assign(f=rows["f"].where(rows["f"] != "b", "a"))
        rows.to_parquet(path / f"part-{k}.parquet", index=False)
    return path


@pytest.fixture(scope="module")
def frame(folder):
    return pd.concat([pd.read_parquet(each) for each in sorted(folder.glob("*.parquet"))])


def parts(folder, **options):
    return interlace.in_parts(str(folder), rows=130, distinct=False, **options)


def same(model, whole, tol=1e-6):
    assert model.llf == pytest.approx(whole.llf, rel=1e-10)
    se = whole.fe_bse
    assert list(model.fe_params.index) == list(whole.fe_params.index)
    assert np.all(np.abs(model.fe_params - whole.fe_params) <= tol * se)
    assert model.nobs == whole.nobs
    assert model.ngroups == whole.ngroups
    assert model.status.split("(")[0] == whole.status.split("(")[0]


CALLS = {
    "center, factor, slopes": (FORMULA, {"family": "poisson"}),
    "scale": ("k ~ scale(x) + (1 | g)", {"family": "poisson"}),
    "text groups": ("k ~ x + (1 | t)", {"family": "poisson"}),
    "nested": ("k ~ x + (1 | g / h)", {"family": "poisson"}),
    "categories": ("k ~ cat + x:f + (1 | g)", {"family": "poisson"}),
    "whole numbers as a factor": ("k ~ C(m) + (1 | g)", {"family": "poisson"}),
    "trials": ("s / m ~ x + (1 | g)", {"family": "binomial", "weights": "m"}),
    "pair": ("cbind(s, m - s) ~ x + (1 | g)", {"family": "binomial"}),
    "bool": ("yes ~ x + (1 | g)", {"family": "binomial"}),
    "two words": ("word ~ x + (1 | g)", {"family": "binomial"}),
    "offset": ("k ~ x + offset(o) + (1 | g)", {"family": "poisson", "nAGQ": 5}),
    "zero part": ("z ~ x + (1 | g)", {"family": "zip", "ziformula": "~ f"}),
    "no random effects": ("k ~ x + f", {"family": "poisson"}),
    "held": ("k ~ x + f + (1 | g)", {"family": "poisson", "hold": {"x": 0.3}}),
    "priors": ("k ~ x + (1 | g)", {"family": "poisson", "priors": {"x": interlace.normal(0, 0.1)}}),
    "weak priors": (FORMULA, {"family": "poisson", "priors": "weak"}),
    "weak priors in units of the response": (
        "r ~ x + cat + (1 + x | g)",
        {"family": "gaussian", "priors": "weak"},
    ),
    "weak priors of weighted trials": (
        "s / m ~ x + (0 + x | g)",
        {"family": "binomial", "weights": "m", "priors": "weak"},
    ),
    "effects shared by mean and dispersion": (
        "r ~ x + (1 + center(x) | p | g)",
        {"family": "gaussian", "dispformula": "~ 1 + (1 | p | g)"},
    ),
    "hurdle": ("z ~ x + (1 | g)", {"family": "hurdle_negativebinomial"}),
    "overdispersed trials": ("s / m ~ x + (1 | g)", {"family": "betabinomial", "weights": "m"}),
    "equal correlations": ("k ~ x + cs(0 + f | g)", {"family": "poisson"}),
    "Student's t, log-concave nowhere": ("r ~ x + (1 | g)", {"family": "t"}),
    "started, and from elsewhere": (
        "k ~ x + (1 | g)",
        {"family": "poisson", "start": {"x": 0.2}, "starts": 1},
    ),
    "points": ("k ~ x + diag(0 + f | g)", {"family": "poisson"}),
}


@pytest.mark.parametrize("name", CALLS)
def test_files_give_the_fit_of_the_frame(name, folder, frame):
    formula, options = CALLS[name]
    model = interlace.glmer(formula, parts(folder), **options)
    whole = interlace.glmer(formula, frame, **options)
    same(model, whole)
    assert model.settings["parts"] == "in 4 parts"
    assert model.settings["priors"] == whole.settings["priors"]
    new = frame.dropna().iloc[::40]
    np.testing.assert_allclose(model.predict(new), whole.predict(new), rtol=1e-6)
    for group, effects in whole.random_effects.items():
        found = model.random_effects[group]
        assert list(found.index) == list(effects.index)
        np.testing.assert_allclose(found, effects, atol=1e-6)


def test_linear_and_ordinal_models(folder, frame):
    formula = "r ~ x + f + (1 + x | g)"
    one, other = interlace.fit(formula, parts(folder)), interlace.fit(formula, frame)
    same(one, other)
    assert np.allclose(one.tidy()["df"], other.tidy()["df"], rtol=1e-4, equal_nan=True)
    priors = {"x": interlace.normal(0, 0.1), "sd": interlace.half_t(3, 0.5)}
    for options in ({"method": "ML", "priors": priors}, {"priors": "weak"}):
        formula = "r ~ x + f + (1 + x | g)"
        one = interlace.fit(formula, parts(folder), **options)
        same(one, interlace.fit(formula, frame, **options))
    for response in ("c", "level"):
        formula = f"{response} ~ x + (1 | g)"
        one, other = interlace.clmm(formula, parts(folder)), interlace.clmm(formula, frame)
        same(one, other)
    with pytest.raises(UnsupportedModelError, match="satterthwaite"):
        interlace.fit("r ~ x + (1 | g)", parts(folder), df_method="kenward-roger")
    with pytest.raises(UnsupportedModelError, match="formula for their standard deviation"):
        interlace.fit("r ~ x + (1 | g)", parts(folder), dispformula="~ x")


def test_parts_in_files_are_those_in_memory(folder):
    kept = interlace.glmer(FORMULA, parts(folder), "poisson")
    aside = interlace.glmer(FORMULA, parts(folder, memory=0), "poisson")
    assert aside.settings["parts"] == "in 4 parts, 4 of them in files"
    assert aside.llf == pytest.approx(kept.llf, rel=1e-13)
    assert np.all(np.abs(aside.fit.psi - kept.fit.psi) <= 1e-6 * kept.fit.standard_errors())


def test_the_order_of_pieces_does_not_matter(folder):
    ds = pytest.importorskip("pyarrow.dataset")
    files = sorted(map(str, folder.glob("*.parquet")))
    fits = [
        interlace.glmer(FORMULA, parts_of(ds.dataset(order)), "poisson")
        for order in (files, files[::-1])
    ]
    assert fits[0].llf == pytest.approx(fits[1].llf, rel=1e-13)
    np.testing.assert_allclose(fits[0].fe_params, fits[1].fe_params, atol=1e-9)
    assert list(fits[0].random_effects["g"].index) == list(fits[1].random_effects["g"].index)


def parts_of(source):
    return interlace.in_parts(source, rows=130, distinct=False)


@pytest.mark.parametrize("kind", ["file", "pattern", "dataset", "polars", "duckdb"])
def test_every_kind_of_source(kind, folder, frame, tmp_path):
    path = tmp_path / "all.parquet"
    frame.to_parquet(path, index=False, row_group_size=60)
    source = {"file": str(path), "pattern": str(folder / "*.parquet")}.get(kind)
    if kind == "dataset":
        source = pytest.importorskip("pyarrow.dataset").dataset(folder)
    if kind == "polars":
        source = pytest.importorskip("polars").scan_parquet(path)
    if kind == "duckdb":
        source = pytest.importorskip("duckdb").read_parquet(str(path))
    whole = interlace.glmer("k ~ x + f + (1 | t)", frame, "poisson")
    same(interlace.glmer("k ~ x + f + (1 | t)", source, "poisson"), whole)


def test_what_belongs_to_rows_comes_part_by_part(folder, frame):
    model = interlace.glmer(FORMULA, parts(folder), "poisson")
    whole = interlace.glmer(FORMULA, frame, "poisson")
    fitted = list(model.in_parts.fitted())
    wanted = whole.fittedvalues.to_numpy()
    place = np.cumsum([0, *(len(each) for each in fitted)])
    for k, each in enumerate(fitted):
        assert str(each.name).endswith(f"part-{k}.parquet")
        np.testing.assert_allclose(each, wanted[place[k] : place[k + 1]], rtol=1e-6)
        rows = pd.read_parquet(each.name)
        assert rows.iloc[each.index]["x"].notna().all()
    left = np.concatenate(list(model.in_parts.residuals()))
    assert np.sum(np.square(left)) == pytest.approx(np.sum(np.square(whole.resid)), rel=1e-6)
    effects = pd.concat(model.in_parts.random_effects("g")).loc[whole.random_effects["g"].index]
    np.testing.assert_allclose(effects.iloc[:, :2], whole.random_effects["g"], atol=1e-6)
    np.testing.assert_allclose(effects.iloc[:, 2:], whole.random_effects_se["g"], atol=1e-6)
    assert len(model.in_parts) == 4
    with pytest.raises(OptionError, match="random_effects: expected a grouping factor"):
        model.in_parts.random_effects("h")
    with pytest.raises(NotAvailableError, match="in_parts: this is of fits whose data"):
        whole.in_parts  # noqa: B018


def test_too_many_levels_keep_their_names_to_themselves(folder, frame, monkeypatch):
    from interlace.parts import afterwards

    monkeypatch.setattr(afterwards, "MOST_NAMED", 5)
    model = interlace.glmer("k ~ x + (1 | g)", parts(folder), "poisson")
    assert model.ngroups == {"g": 24}
    whole = interlace.glmer("k ~ x + (1 | g)", frame, "poisson")
    assert model.variance_components["g"] == pytest.approx(whole.variance_components["g"])
    assert len(pd.concat(model.in_parts.random_effects("g"))) == 24
    new = frame.dropna().head(3)
    np.testing.assert_allclose(
        model.predict(new, include_re=False), whole.predict(new, include_re=False), rtol=1e-6
    )
    for ask in (lambda: model.random_effects, lambda: model.predict(new)):
        with pytest.raises(NotAvailableError, match="where the parts of the data are"):
            ask()


REFUSED = {
    "fittedvalues": lambda m: m.fittedvalues,
    "resid": lambda m: m.resid,
    "residuals": lambda m: m.residuals(),
    "predict": lambda m: m.predict(),
    "bootstrap of a statistic": lambda m: m.bootstrap(3, statistic=lambda r: {"llf": r.llf}),
    "simulate": lambda m: m.simulate(2),
    "influence": lambda m: m.influence(),
    "r2": lambda m: m.r2(),
    "accuracy": lambda m: m.accuracy(),
    "drop1": lambda m: m.drop1(),
    "singularity": lambda m: m.singularity(),
    "augment": lambda m: m.augment(),
    "save": lambda m: m.save("nowhere.interlace"),
    "anova": lambda m: interlace.anova(m, m),
}


@pytest.fixture(scope="module")
def model(folder):
    return interlace.glmer("k ~ x + (1 | g)", parts(folder), "poisson")


@pytest.mark.parametrize("name", REFUSED)
def test_what_needs_all_rows_is_refused_in_words(name, model):
    with pytest.raises(NotAvailableError, match="lie in parts"):
        REFUSED[name](model)


def test_profiles_and_robust_covariances_are_those_of_all_rows(model, folder, frame):
    whole = interlace.glmer("k ~ x + (1 | g)", frame, "poisson")
    assert_covariances_agree(model.vcov_robust(), whole.vcov_robust())
    found, wanted = (each.confint(method="profile") for each in (model, whole))
    numbers = wanted.select_dtypes("number").columns
    np.testing.assert_allclose(found[numbers], wanted[numbers], atol=1e-5)
    table = model.profile("x", points=5).points
    assert np.all(np.diff(table["zeta"]) > 0.0)
    nested = interlace.glmer("k ~ year + (1 | g / h)", parts(folder), "poisson")
    one = interlace.glmer("k ~ year + (1 | g / h)", frame, "poisson")
    assert_covariances_agree(nested.vcov_robust(), one.vcov_robust())
    with pytest.raises(OptionError, match="cluster must be a grouping factor"):
        model.vcov_robust(cluster=frame["f"])
    linear = interlace.fit("r ~ x + (1 | g)", parts(folder), method="ML")
    whole = interlace.fit("r ~ x + (1 | g)", frame, method="ML")
    found, wanted = (each.confint(method="profile")[numbers] for each in (linear, whole))
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_draws_and_the_parametric_bootstrap_are_made_by_the_parts(model, folder, frame):
    whole = interlace.glmer("k ~ x + (1 | g)", frame, "poisson")
    drawn = pd.concat(model.in_parts.simulate(200, seed=1))
    again = pd.concat(model.in_parts.simulate(200, seed=1))
    assert drawn.equals(again)
    assert not drawn["sim_1"].equals(drawn["sim_2"])
    means = np.concatenate(list(model.in_parts.fitted()))
    error = (drawn.mean(axis=1).to_numpy() - means) / np.sqrt(means / 200)
    assert np.sqrt(np.mean(np.square(error))) == pytest.approx(1.0, abs=0.1)
    new = pd.concat(model.in_parts.simulate(200, seed=1, conditional=False))
    assert new.to_numpy().var() > 1.1 * drawn.to_numpy().var()
    # the draws of the parts, fitted as a frame
    sample = model.bootstrap(4, seed=3)
    assert not sample.failures
    numbers = [int(each.integers(2**62)) for each in generators(3, 4)]
    problem = problem_of_draw(model.training.problem, model.fit, numbers[2], False, False)
    pieces = zip(sorted(folder.glob("*.parquet")), problem.parts.ask(drawn_response), strict=True)
    rows = [pd.read_parquet(p).dropna(subset="x").assign(k=y) for p, y in pieces]
    one = interlace.glmer("k ~ x + (1 | g)", pd.concat(rows), "poisson")
    # a remaining gain of 1e-7, at which a search ends, is 4.5e-4 standard errors
    assert sample.values.loc[2, "x"] == pytest.approx(
        one.fe_params["x"], abs=5e-4 * one.fe_bse["x"]
    )
    assert whole.bootstrap(2, seed=1).values.shape == (2, sample.values.shape[1])
    forgetful = interlace.glmer("k ~ x + (1 | g)", parts(folder, memory=0), "poisson")
    found = forgetful.bootstrap(4, seed=3).values
    np.testing.assert_allclose(found, sample.values, atol=1e-5)


def drawn_response(part):
    return part.y


def test_what_a_result_offers(model, frame):
    whole = interlace.glmer("k ~ x + (1 | g)", frame, "poisson")
    assert "in 4 parts" in str(model.summary())
    for one, other in (
        (model.tidy(), whole.tidy()),
        (model.confint(), whole.confint()),
        (model.vcov(), whole.vcov()),
        (model.glance(), whole.glance()[["nobs", "sigma", "logLik", "AIC", "BIC", "df"]]),
    ):
        numbers = other.select_dtypes("number")
        np.testing.assert_allclose(one[numbers.columns], numbers, rtol=1e-2, atol=1e-7)
    again = pickle.loads(pickle.dumps(model.without_training()))
    assert again.llf == model.llf
    assert "(1 | g)" in str(model.explain()) or "g" in str(model.explain())
    new = frame.dropna().head(3)
    found = model.predict(new, include_re=False, se=True)
    np.testing.assert_allclose(found, whole.predict(new, include_re=False, se=True), rtol=1e-3)


# errors in words


def test_an_error_in_the_data_names_file_and_row(data, tmp_path):
    for k in range(3):
        rows = data[data["g"] % 3 == k].copy()
        if k == 1:
            rows.iloc[5, rows.columns.get_loc("k")] = -1
        rows.to_parquet(tmp_path / f"p{k}.parquet", index=False)
    with pytest.raises(interlace.errors.ResponseError, match=r"p1\.parquet: .* got -1 in row 5"):
        interlace.glmer("k ~ x + (1 | g)", parts(tmp_path), "poisson")
    with pytest.raises(DataError, match=r"p1\.parquet: weights: .*row 5"):
        interlace.glmer("z ~ x + (1 | g)", parts(tmp_path), "poisson", weights="k")


def test_a_file_without_a_column_is_named(data, tmp_path):
    data[data["g"] < 10].to_parquet(tmp_path / "a.parquet", index=False)
    data[data["g"] >= 10].drop(columns="x").to_parquet(tmp_path / "b.parquet", index=False)
    with pytest.raises(DataError, match=r"b\.parquet: expected the columns .* 'x'"):
        interlace.glmer("k ~ x + (1 | g)", parts(tmp_path), "poisson")


def test_groups_in_several_parts_are_refused_with_what_to_run(data, tmp_path):
    path, where = tmp_path / "all.parquet", tmp_path / "together"
    data.to_parquet(path, index=False, row_group_size=50)
    apart = interlace.in_parts(str(path), rows=60, distinct=False)
    with pytest.raises(DataError, match=r"each level of 'g' in one piece.* interlace\.shuffle"):
        interlace.glmer("k ~ x + (1 | g)", apart, "poisson")
    together = interlace.shuffle(str(path), on="g", folder=where, files=6)
    model = interlace.glmer("k ~ x + (1 | g / h)", interlace.in_parts(together, rows=60), "poisson")
    same(model, interlace.glmer("k ~ x + (1 | g / h)", data, "poisson"))
    with pytest.raises(DataError, match="shuffle: expected a folder without Parquet files"):
        interlace.shuffle(str(path), on="g", folder=where)
    with pytest.raises(DataError, match="shuffle: on: expected columns of the data"):
        interlace.shuffle(str(path), on="nothing", folder=tmp_path / "other")
    small = interlace.in_parts(together, rows=60, distinct=False)
    crossed = "k ~ x + (1 | g) + (1 | f)"  # f has levels in all parts
    same(interlace.glmer(crossed, small, "poisson"), interlace.glmer(crossed, data, "poisson"))


@pytest.mark.parametrize(
    "formula", ["k ~ poly(x, 2) + (1 | g)", "k ~ bs(x, df=4) + (1 | g)", "k ~ scale(center(x))"]
)
def test_what_learns_from_all_rows_is_refused(formula, folder):
    with pytest.raises(interlace.errors.FormulaError, match="learns from all rows at once"):
        interlace.glmer(formula, parts(folder), "poisson")


def test_arguments_that_tie_rows_are_refused(folder, data):
    for name in ("weights", "offset"):
        with pytest.raises(UnsupportedModelError, match=f"{name}: expected the name of a column"):
            interlace.glmer("k ~ x + (1 | g)", parts(folder), "poisson", **{name: data["w"].array})
    with pytest.raises(UnsupportedModelError, match="correlation= ties rows"):
        interlace.fit("r ~ x + (1 | g)", parts(folder), correlation="ar1(o | g)")


def test_sources_that_are_none(tmp_path):
    with pytest.raises(DataError, match="where there is none"):
        interlace.glmer("k ~ x", str(tmp_path / "nothing"), "poisson")
    with pytest.raises(DataError, match="in_parts: expected a path or pattern"):
        interlace.glmer("k ~ x", interlace.in_parts(3), "poisson")
    for options in ({"memory": "many"}, {"memory": -1}, {"rows": 0}, {"distinct": "no"}):
        with pytest.raises(OptionError, match="in_parts: "):
            interlace.in_parts(str(tmp_path), **options)
    assert interlace.in_parts("x", memory="1.5 GB").memory == 1.5 * 2**30


def test_values_that_are_levels_are_all_found_in_the_first_look(data, tmp_path):
    d = data.assign(mark=data["c"] / 2.0, time=(data["m"] % 3) / 4.0)
    for k in range(4):
        d[d["g"] % 4 == k].to_parquet(tmp_path / f"p{k}.parquet", index=False)
    source = parts(tmp_path)
    same(interlace.clmm("mark ~ x + (1 | g)", source), interlace.clmm("mark ~ x + (1 | g)", d))
    formula = "k ~ C(time) + ou(0 + time | g)"
    same(interlace.glmer(formula, source, "poisson"), interlace.glmer(formula, d, "poisson"))
    # a mark that only a row in the middle of a long piece has
    odd = pd.concat([d] * 9, ignore_index=True)
    odd.loc[2100, "mark"] = 0.25
    odd["mark"] += 1e-3 * (odd.index < 1000) * odd.index  # looks like a measurement
    odd.to_parquet(tmp_path / "odd.parquet", index=False)
    with pytest.raises(DataError, match="expected ordered categories|categories that were seen"):
        interlace.clmm("mark ~ x + (1 | g)", str(tmp_path / "odd.parquet"))


def test_a_response_that_is_predicted_exactly_is_refused(data, tmp_path):
    d = data.dropna().assign(same=lambda d: 1.0 + 2.0 * d["w"] + d["g"] / 7.0)
    for k in range(4):
        d[d["g"] % 4 == k].to_parquet(tmp_path / f"p{k}.parquet", index=False)
    for source in (d, parts(tmp_path)):
        with pytest.raises(interlace.errors.ExactResponseError, match="predicts the response"):
            interlace.glmer("same ~ w + (1 | g)", source, "gaussian")


# rank and separation over all rows


def test_columns_that_depend_on_each_other_over_all_rows_are_dropped(data, tmp_path):
    d = data.assign(twice=2.0 * data["w"] - 1.0, almost=data["w"])
    d.loc[d.index[d["g"] == 5][:1], "almost"] += 0.5  # one row of one part tells them apart
    for k in range(4):
        d[d["g"] % 4 == k].to_parquet(tmp_path / f"p{k}.parquet", index=False)
    with pytest.warns(interlace.errors.DataWarning, match="collinear column.*twice"):
        model = interlace.glmer("k ~ w + twice + almost + (1 | g)", parts(tmp_path), "poisson")
    with pytest.warns(interlace.errors.DataWarning):
        whole = interlace.glmer("k ~ w + twice + almost + (1 | g)", d, "poisson")
    same(model, whole)
    assert model.dropped_columns == whole.dropped_columns == ("twice",)


def test_separation_over_all_rows_is_named(data, tmp_path):
    d = data.assign(rare=((data["g"] % 8 == 3) & (data["x"] > 1)).astype(float))
    d["yes"] = d["yes"] | (d["rare"] == 1.0)
    for k in range(4):
        d[d["g"] % 4 == k].to_parquet(tmp_path / f"p{k}.parquet", index=False)
    notes = []
    for source in (parts(tmp_path), d):
        with pytest.warns(interlace.errors.ConvergenceWarning, match="'rare' separates"):
            notes.append(interlace.glmer("yes ~ rare + w + (1 | g)", source, "binomial").status)
    assert notes[0].split("(")[0] == notes[1].split("(")[0]


def test_what_was_judged_by_some_of_the_rows_says_so(data, tmp_path, monkeypatch):
    d = data.assign(rare=((data["h"] % 7 == 3) & (data["x"] > 0.5)).astype(float))
    d["c"] = np.where(d["rare"] == 1.0, 3, d["c"])
    for k in range(4):
        d[d["g"] % 4 == k].to_parquet(tmp_path / f"p{k}.parquet", index=False)
    monkeypatch.setattr("interlace.diagnostics.separation.MOST_FORMS", 300)
    with pytest.warns(interlace.errors.ConvergenceWarning, match="Judged by 300 of the distinct"):
        interlace.clmm("c ~ rare + w + (1 | g)", parts(tmp_path))


def test_a_scale_far_from_0_is_refused_over_all_rows(data, tmp_path):
    d = data.dropna().assign(year=lambda d: 2010.0 + d["x"])
    for k in range(4):
        d[d["g"] % 4 == k].to_parquet(tmp_path / f"p{k}.parquet", index=False)
    message = "scale: 'year' lies [0-9.e+]+ standard deviations from 0"
    said = []
    for source in (parts(tmp_path), d):
        with pytest.raises(DataError, match=message) as found:
            interlace.clmm("c ~ w + (1 | g)", source, scale="~ year")
        said.append(str(found.value))
    assert said[0] == said[1]
    near = d.assign(year=d["x"])
    for k in range(4):
        near[near["g"] % 4 == k].to_parquet(tmp_path / f"p{k}.parquet", index=False)
    one, other = (
        interlace.clmm("c ~ w + (1 | g)", each, scale="~ year") for each in (parts(tmp_path), near)
    )
    same(one, other)


# few distinct rows


@pytest.mark.parametrize("kind", ["files", "polars", "duckdb"])
def test_few_distinct_rows_are_counted_where_the_data_are(kind, data, tmp_path):
    d = pd.concat([data] * 12, ignore_index=True)
    d.loc[::50, "f"] = None
    d.to_parquet(tmp_path / "many.parquet", index=False, row_group_size=1000)
    source = str(tmp_path)
    if kind != "files":
        module = pytest.importorskip(kind)
        read = module.scan_parquet if kind == "polars" else module.read_parquet
        source = read(str(tmp_path / "many.parquet"))
    for formula, family, options in (
        ("yes ~ f + (1 | g)", "binomial", {}),
        ("s / m ~ cat + (1 | g)", "binomial", {"weights": "m"}),
        ("k ~ f + (1 | t)", "poisson", {}),
        ("k ~ m + f + (1 + m | g)", "poisson", {"priors": "weak"}),
    ):
        model = interlace.glmer(formula, source, family, **options)
        whole = interlace.glmer(formula, d, family, **options)
        assert "distinct ones" in model.settings["parts"]
        same(model, whole, 1e-5)
        assert model.settings["priors"] == whole.settings["priors"]
        assert model.rows.missing == whole.rows.missing
        new = d.dropna().head(5)
        np.testing.assert_allclose(model.predict(new), whole.predict(new), rtol=1e-6)
    with pytest.raises(NotAvailableError):
        model.simulate(3)


def test_categories_of_a_lazy_frame_are_text_whose_order_is_no_accident():
    pl = pytest.importorskip("polars")
    pa = pytest.importorskip("pyarrow")
    from interlace.parts.sources import open_source

    words = pl.Series("cat", ["much", "little"] * 50, dtype=pl.Categorical)
    levels = pl.Enum(["much", "little"])
    lazy = pl.DataFrame({"cat": words, "level": words.cast(pl.String).cast(levels)}).lazy()
    source = open_source(interlace.in_parts(lazy, rows=40))
    names = ["cat", "level"]
    tables = [source.distinct(names, 9), next(iter(source.batches(names)))]
    for each in tables:
        assert not pa.types.is_dictionary(each.schema.field("cat").type)
        assert pa.types.is_dictionary(each.schema.field("level").type)


def test_many_distinct_rows_are_not(folder):
    model = interlace.glmer("k ~ f + (1 | g)", str(folder), "poisson")
    assert "distinct" not in model.settings["parts"]


# the engine


def test_the_engine_counts_rounds_and_tells_how_far_they_are(folder):
    model = interlace.glmer("k ~ x + (1 | g)", parts(folder), "poisson")
    engine = model.training.problem.parts.engine
    assert isinstance(engine, LocalParts)
    assert 15 <= model.in_parts.rounds <= 80
    words = []
    engine.report = words.append
    assert list(engine.total(lambda part: Sums(part.n))) == [model.nobs]
    assert words[0].startswith(f"round {engine.rounds}, part 1 of 4, ")


def test_all_arrays_of_a_part_that_is_put_aside_lie_in_its_file(tmp_path, monkeypatch):
    kept, begin = [], aside._Reader.__init__

    def seen(self, skeleton, buffers, staying):
        kept.append(skeleton.getbuffer().nbytes)
        begin(self, skeleton, buffers, staying)

    monkeypatch.setattr(aside._Reader, "__init__", seen)
    d = pd.concat([table()] * 40, ignore_index=True)
    request = ModelRequest("s / m ~ x + o + (1 + x | g)", d, "binomial", weights="m")
    problem = prepared(request, options_in_force(kernels="off")).model.problem
    layout_of(problem)
    psi = np.full(problem.n_psi, 0.1)
    wanted = Laplace().objective(problem)(psi)
    del problem.cache[Layout]  # with what its evaluation left there
    layout_of(problem)
    found = aside.put_aside(problem, tmp_path / "rows")
    assert max(kept) < 0.5 * problem.n * 8  # less than half a number for each row
    assert Layout in found.cache
    there = Laplace().objective(found)(psi)
    assert there.value == wanted.value
    assert np.array_equal(there.gradient, wanted.gradient)


def test_a_limit_that_counts_mapped_files_is_named_as_what_refuses_them(tmp_path, monkeypatch):
    def refused(*arguments, **options):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(aside.mmap, "mmap", refused)
    table().to_parquet(tmp_path / "rows.parquet")
    asked = interlace.in_parts(tmp_path, memory="1 kB", distinct=False)
    with pytest.raises(OutOfMemoryError, match=r"map .*Cannot allocate.*ulimit -d.*control group"):
        interlace.glmer("k ~ x + (1 | g)", asked, "poisson")


def test_what_lies_in_a_file_already_stays_there(tmp_path):
    d = pd.concat([table()] * 40, ignore_index=True)
    request = ModelRequest("s / m ~ x + o + (1 + x | g)", d, "binomial", weights="m")
    problem = prepared(request, options_in_force(kernels="off")).model.problem
    found = aside.put_aside(problem, tmp_path / "rows")
    layout_of(found)
    again = aside.put_aside(found, tmp_path / "layout")
    assert (tmp_path / "layout").stat().st_size < 1.3 * (tmp_path / "rows").stat().st_size
    assert np.shares_memory(again.predictors[0].X, found.predictors[0].X)
    laid_out = again.cache[Layout].problem.predictors[0].X
    assert aside.is_mapped(laid_out)
    assert not aside.is_mapped(problem.predictors[0].X)
    assert not aside.is_mapped(np.frombuffer(memoryview(b"12345678")))


def test_parts_in_files_hold_nothing_in_memory_that_is_as_large_as_their_rows(tmp_path):
    pytest.importorskip("interlace_kernels")
    rng = np.random.default_rng(3)
    for k in range(2):
        g = rng.integers(0, 100, 40_000)
        eta = 0.5 * rng.normal(size=100)[g]
        y = (rng.uniform(size=g.size) < 1.0 / (1.0 + np.exp(-eta))).astype(int)
        frame = pd.DataFrame({"y": y, "x": rng.normal(size=g.size), "g": g + 100 * k})
        frame.to_parquet(tmp_path / f"{k}.parquet")
    asked = interlace.in_parts(tmp_path, memory="1 kB", rows=40_000, distinct=False)
    model = interlace.glmer("y ~ x + (1 | g)", asked, "binomial")
    assert "2 of them in files" in model.settings["parts"]
    if model.settings["kernel"] == "none":
        pytest.skip("compiled code is not built")
    for part in model.training.problem.parts.engine.parts:
        # or the part in other units, if those are not its own
        own = [part, *(each for each in part.cache.values() if isinstance(each, Problem))]
        sorted_ones = [each.cache[Layout].problem for each in own if Layout in each.cache]
        for each in (*own, *sorted_ones):
            kept = each.cache.get(CompiledRows)
            if kept is not None and kept.rows is not None:
                assert aside.is_mapped(kept.rows.kernel.columns)
                break
        else:
            pytest.fail("no compiled rows were kept")


@pytest.mark.parametrize("kind", ["lazy", "duckdb"])
@pytest.mark.parametrize("formula", ["few + many", "many + few", "class + school"])
def test_the_factor_that_others_run_across_or_nest_in_is_brought_together(kind, formula, tmp_path):
    rng = np.random.default_rng(5)
    rows = pd.DataFrame({"many": rng.integers(0, 200, 2000), "few": rng.integers(0, 5, 2000)})
    rows["class"] = rows["many"]
    rows["school"] = rows["many"] // 10
    rows["y"] = rng.normal(size=2000) + rng.normal(size=200)[rows["many"]]
    path = tmp_path / "data.parquet"
    rows.to_parquet(path)
    data = {
        "lazy": lambda: pytest.importorskip("polars").scan_parquet(path),
        "duckdb": lambda: pytest.importorskip("duckdb").read_parquet(str(path)),
    }[kind]()
    one, other = formula.split(" + ")
    asked = interlace.in_parts(data, rows=300, distinct=False)
    model = interlace.fit(f"y ~ (1 | {one}) + (1 | {other})", asked)
    assert len(model.in_parts) > 1
    across = {term.group for term in model.training.problem.terms if term.across}
    assert across == ({"few"} if "few" in formula else set())


@pytest.mark.parametrize("name", ["__rows__", "count_all", "n_sum", "*", "^y$", 'a"b', "0"])
@pytest.mark.parametrize("kind", ["parquet", "lazy", "duckdb"])
def test_names_of_columns_are_no_words_of_what_reads_them(kind, name, tmp_path):
    rng = np.random.default_rng(5)
    data = pd.DataFrame({"y": rng.poisson(2.0, 200), "g": np.repeat(np.arange(10), 20)})
    data[name] = rng.integers(0, 3, 200)
    path = tmp_path / "data.parquet"
    data.to_parquet(path)
    whole = interlace.glmer("y ~ x + (1 | g)", data.rename(columns={name: "x"}), "poisson")
    for distinct in (True, False):
        source = {
            "parquet": lambda: str(path),
            "lazy": lambda: pytest.importorskip("polars").scan_parquet(path),
            "duckdb": lambda: pytest.importorskip("duckdb").read_parquet(str(path)),
        }[kind]()
        asked = interlace.in_parts(source, distinct=distinct)
        model = interlace.glmer(f"y ~ Q('{name}') + (1 | g)", asked, "poisson")
        assert model.llf == pytest.approx(whole.llf, rel=1e-10)
