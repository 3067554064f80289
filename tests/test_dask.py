"""Models whose data lie on the workers of a cluster: two processes of this machine.

A worker that is to die does so itself, at a call that the test replaces in that process alone.
"""

import os
import pickle
import signal
import time
import warnings
from contextlib import ExitStack

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.errors import DataError, NotAvailableError, OptionError, UnsupportedModelError
from interlace_core.fitting.fit import fit_problem
from interlace_core.fitting.outline import outline
from invariance import assert_covariances_agree
from test_data_in_parts import same
from test_fit_in_parts import MODELS, PARTS, beside, evaluated, exactly, ready_for, subset, table

pytest.importorskip("dask.dataframe")
pytest.importorskip("interlace_dask")

import dask  # noqa: E402
import dask.dataframe as dd  # noqa: E402
from dask.distributed import Client, LocalCluster  # noqa: E402

from interlace_dask.engine import DaskParts  # noqa: E402
from interlace_dask.worker import Told  # noqa: E402

FORMULA = "k ~ center(x) + f + (1 + x | g)"
QUICK = ("slopes", "joint mode", "REML")

# Dask's own threads and sockets of a cluster that has lost a worker
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


class Cluster:
    """Two workers on this machine. Where one does not come back, as of a busy machine, others."""

    def __init__(self):
        self._open, self._client = ExitStack(), None

    def client(self):
        """Return a client, once both workers are there."""
        for _ in range(2):
            if self._client is None:
                self._begin()
            try:
                self._client.wait_for_workers(2, timeout=60)
                return self._client
            except TimeoutError:
                self.close()
        raise TimeoutError("no two workers began to work")

    def _begin(self):
        malloc = {
            "MALLOC_TRIM_THRESHOLD_": "1000000000",
            "MALLOC_MMAP_THRESHOLD_": "1000000000",
        }
        enter = self._open.enter_context
        enter(dask.config.set({"distributed.nanny.pre-spawn-environ": malloc}))
        cluster = enter(
            LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", memory_limit=0)
        )
        self._client = enter(Client(cluster))

    def close(self):
        """End all processes."""
        self._client = None
        self._open.close()


@pytest.fixture(scope="module")
def cluster():
    here = Cluster()
    yield here
    here.close()


@pytest.fixture
def two(cluster):
    """A client of two workers that are there."""
    return cluster.client()


@pytest.fixture(scope="module")
def pieces():
    d = table()
    d["f"] = d["f"].astype(object)
    d.loc[[3, 77, 200], "x"] = np.nan
    d["cat"] = pd.Categorical(np.where(d["c"] > 1, "much", "little"), ["little", "much"])
    return [d[d["g"] % 4 == k] for k in range(4)]


@pytest.fixture(scope="module")
def whole(pieces):
    return pd.concat(pieces)


def frame_of(pieces):
    return dd.concat([dd.from_pandas(each, npartitions=1, sort=False) for each in pieces])


@pytest.fixture(scope="module")
def frame(pieces):
    return frame_of(pieces)


def apart(frame):
    return interlace.in_parts(frame, rows=100, distinct=False)


CALLS = {
    "slopes": (FORMULA, {"family": "poisson"}),
    "nested, categories": ("k ~ cat + (1 | g / h)", {"family": "poisson"}),
    "trials, quadrature": (
        "s / m ~ x + (1 | g)",
        {"family": "binomial", "weights": "m", "nAGQ": 5},
    ),
    "zero part": ("z ~ x + (1 | g)", {"family": "zip", "ziformula": "~ f"}),
    "priors": ("k ~ x + (1 | g)", {"family": "poisson", "priors": {"x": interlace.normal(0, 0.1)}}),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_dask_frame_gives_the_fit_of_all_rows(name, two, frame, whole):
    formula, options = CALLS[name]
    model = interlace.glmer(formula, apart(frame), **options)
    one = interlace.glmer(formula, whole, **options)
    same(model, one)
    assert model.settings["parts"] == "in 4 parts, on 2 workers of Dask"
    assert model.rows.missing == one.rows.missing
    for group, effects in one.random_effects.items():
        assert list(model.random_effects[group].index) == list(effects.index)
        np.testing.assert_allclose(model.random_effects[group], effects, atol=1e-6)


def test_linear_and_ordinal_models(two, frame, whole):
    formula = "r ~ x + f + (1 + x | g)"
    same(interlace.fit(formula, apart(frame)), interlace.fit(formula, whole))
    formula = "c ~ x + (1 | g)"
    model, one = interlace.clmm(formula, apart(frame)), interlace.clmm(formula, whole)
    same(model, one)
    found = model.predict(frame).compute()
    np.testing.assert_allclose(found, one.predict(whole), rtol=1e-5)


def first(_, tables):
    return tables[0]


def on_workers(client, problem, parts=PARTS):
    """Return a problem whose parts are on workers."""
    part = np.asarray(table()["g"] % parts)
    own = [subset(problem, np.flatnonzero(part == k)) for k in range(parts)]
    sources = [
        ([str(k)], [dask.delayed(each, pure=False, traverse=False)]) for k, each in enumerate(own)
    ]
    return outline(own[0], DaskParts(client, Told(first), sources))


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in MODELS]
)
def test_values_gradients_and_estimates_are_those_of_all_rows(name, two):
    ready = ready_for(name)
    problem, approximation = ready.model.problem, ready.approximation
    fit = fit_problem(problem, approximation, ready.optimizer)
    psi = beside(problem, fit.psi)
    value, gradient, _ = evaluated(exactly(approximation), problem, psi)
    found = evaluated(exactly(approximation), on_workers(two, problem), psi)
    assert found[0] == pytest.approx(value, rel=1e-10)
    assert np.max(np.abs(found[1] - gradient)) <= 1e-10 * np.max(np.abs(gradient))
    other = fit_problem(on_workers(two, problem), approximation, ready.optimizer)
    se = fit.standard_errors()
    known = np.isfinite(se)
    assert other.verdict.status == fit.verdict.status
    assert np.all(np.abs(other.psi - fit.psi)[known] <= 1e-6 * se[known])


# what belongs to rows


def test_frames_of_a_result_are_dasks_and_not_computed_yet(two, frame, whole):
    model = interlace.glmer(FORMULA, apart(frame), "poisson")
    one = interlace.glmer(FORMULA, whole, "poisson")
    rounds = model.in_parts.rounds
    fitted, resid = model.fittedvalues, model.resid
    effects = model.in_parts.frame("random_effects", "g")
    assert all(isinstance(each, dd.Series) for each in (fitted, resid))
    assert list(effects.columns) == ["Intercept", "x", "sd(Intercept)", "sd(x)"]
    assert model.in_parts.rounds == rounds
    fitted = fitted.compute()
    assert list(fitted.index) == list(one.fittedvalues.index)
    np.testing.assert_allclose(fitted, one.fittedvalues, rtol=1e-6)
    np.testing.assert_allclose(resid.compute(), one.resid, atol=1e-5)
    found = effects.compute().loc[one.random_effects["g"].index]
    np.testing.assert_allclose(found[["Intercept", "x"]], one.random_effects["g"], atol=1e-6)
    assert len(list(model.in_parts.fitted())) == len(model.in_parts) == 4
    with pytest.raises(OptionError, match="in_parts.frame: expected"):
        model.in_parts.frame("nothing")


def test_what_takes_further_rounds(two, frame, whole):
    model = interlace.glmer("k ~ x + (1 | g)", apart(frame), "poisson")
    one = interlace.glmer("k ~ x + (1 | g)", whole, "poisson")
    assert_covariances_agree(model.vcov_robust(), one.vcov_robust())
    found, wanted = (each.confint("x", method="profile") for each in (model, one))
    numbers = wanted.select_dtypes("number").columns
    np.testing.assert_allclose(found[numbers], wanted[numbers], atol=1e-5)
    draws = model.bootstrap(2, seed=1)
    assert not draws.failures and draws.values["x"].nunique() == 2
    assert len(pd.concat(model.in_parts.simulate(3, seed=1))) == model.nobs


def test_predictions_for_a_dask_frame(two, frame, whole):
    one = interlace.glmer(FORMULA, whole, "poisson")
    for options in ({}, {"include_re": False, "se": True}, {"type": "population"}):
        found = one.predict(frame, **options)
        assert isinstance(found, (dd.Series, dd.DataFrame))
        wanted = one.predict(whole, **options)
        np.testing.assert_allclose(found.compute(), wanted, rtol=1e-12)
    with pytest.raises(OptionError, match="offset: expected the name of a column"):
        one.predict(frame, offset=np.zeros(480))


def test_few_distinct_rows_are_counted_by_the_workers(two, whole):
    d = pd.concat([whole] * 12, ignore_index=True)
    many = dd.from_pandas(d, npartitions=5, sort=False)
    model = interlace.glmer("k ~ f + cat + (1 | g)", many, "poisson")
    assert "distinct ones" in model.settings["parts"]
    same(model, interlace.glmer("k ~ f + cat + (1 | g)", d, "poisson"), 1e-5)


# workers that die


def arm(name, calls):
    """Let this process end itself at a call of a function that Dask runs."""
    from interlace_dask import worker

    inner, left = getattr(worker, name), [calls]

    def deadly(*given):
        left[0] -= 1
        if left[0] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return inner(*given)

    setattr(worker, name, deadly)


ONE = "k ~ center(x) + (1 | g)"


@pytest.fixture(scope="module")
def undisturbed(cluster, frame):
    cluster.client()
    return interlace.glmer(ONE, apart(frame), "poisson")


@pytest.mark.parametrize(
    "function, calls",
    [("look", 1), ("build", 2), ("answer", 3), ("answer", 20)],
    ids=["in the glance", "in the build", "in an early round", "in a round"],
)
def test_a_worker_that_dies_changes_nothing(function, calls, two, frame, undisturbed, caplog):
    (victim, pid) = min(two.run(os.getpid).items())
    two.run(arm, function, calls, workers=[victim])
    with caplog.at_level("WARNING", logger="interlace"):
        model = interlace.glmer(ONE, apart(frame), "poisson")
    assert pid not in two.run(os.getpid).values()
    assert model.llf == pytest.approx(undisturbed.llf, rel=1e-14)
    assert np.max(np.abs(model.fit.psi - undisturbed.fit.psi)) <= 1e-12
    told = [each.getMessage() for each in caplog.records if each.name == "interlace"]
    again = [each for each in told if victim in each and "made again: part(s)" in each]
    assert bool(again) == (function != "look"), told  # a look that is lost Dask repeats itself


# a factor that runs across parts

CROSSED = "k ~ x + (1 | g) + (1 + x | v)"


@pytest.fixture(scope="module")
def crossed(pieces):
    rng = np.random.default_rng(5)
    return [each.assign(v=rng.integers(0, 7, len(each))) for each in pieces]


def test_a_factor_that_runs_across_parts(two, crossed):
    frame, whole = frame_of(crossed), pd.concat(crossed)
    model = interlace.glmer(CROSSED, apart(frame), "poisson")
    one = interlace.glmer(CROSSED, whole, "poisson")
    same(model, one)
    assert "over all parts, 14 rows" in model.settings["structure"]
    for group, effects in one.random_effects.items():
        assert list(model.random_effects[group].index) == list(effects.index)
        np.testing.assert_allclose(model.random_effects[group], effects, atol=1e-6)
    np.testing.assert_allclose(model.fittedvalues.compute(), one.fittedvalues, rtol=1e-6)
    effects = model.in_parts.frame("random_effects", "v").compute()
    np.testing.assert_allclose(effects[["Intercept", "x"]], one.random_effects["v"], atol=1e-6)
    linear = "r ~ x + (1 | g) + (1 | v)"
    same(interlace.fit(linear, apart(frame)), interlace.fit(linear, whole))


@pytest.mark.parametrize("calls", [8, 30, 41])
def test_a_worker_that_dies_in_a_crossed_search_changes_nothing(calls, two, crossed, caplog):
    frame = frame_of(crossed)
    undisturbed = interlace.glmer(CROSSED, apart(frame), "poisson")
    (victim, pid) = min(two.run(os.getpid).items())
    two.run(arm, "answer", calls, workers=[victim])
    with caplog.at_level("WARNING", logger="interlace"):
        model = interlace.glmer(CROSSED, apart(frame), "poisson")
    assert pid not in two.run(os.getpid).values()
    assert np.max(np.abs(model.fit.psi - undisturbed.fit.psi)) <= 1e-12
    told = [each.getMessage() for each in caplog.records if each.name == "interlace"]
    assert any(victim in each and "made again: part(s)" in each for each in told), told


def test_frames_are_made_again_with_their_part(two, frame, whole):
    model = interlace.glmer("k ~ x + (1 | g)", apart(frame), "poisson")
    fitted = model.fittedvalues
    two.run(forget_all)
    wanted = interlace.glmer("k ~ x + (1 | g)", whole, "poisson").fittedvalues
    np.testing.assert_allclose(fitted.compute(), wanted, rtol=1e-6)


def forget_all():
    from interlace_dask.worker import PARTS

    PARTS.clear()


def test_parts_go_with_the_result(two, frame):
    model = interlace.glmer("k ~ x + (1 | g)", apart(frame), "poisson")
    token = model.training.problem.parts.engine._token
    assert sum(two.run(number_of_parts, token).values()) == 4
    del model
    for _ in range(100):
        if not sum(two.run(number_of_parts, token).values()):
            return
        time.sleep(0.05)
    raise AssertionError("parts of a result that is gone are still there")


def number_of_parts(token):
    from interlace_dask.worker import PARTS

    return sum(each[0] == token for each in PARTS)


# messages


def test_what_a_round_sends_is_small(two, frame, monkeypatch):
    sent = []
    inner = DaskParts._round

    def counted(self, question, given, summed):
        found = inner(self, question, given, summed)
        sent.append((len(pickle.dumps((question, given))), len(pickle.dumps(found))))
        return found

    monkeypatch.setattr(DaskParts, "_round", counted)
    interlace.glmer("k ~ x + (1 | g)", apart(frame), "poisson")
    questions, answers = np.array(sent).T
    assert np.median(questions) < 2000
    assert np.median(answers) < 2000


# refusals in words


def test_without_a_client_it_says_what_to_do(frame, monkeypatch):
    import distributed

    def none():
        raise ValueError("No global client found")

    monkeypatch.setattr(distributed, "default_client", none)
    with pytest.raises(NotAvailableError, match="there is none. Make one first"):
        interlace.glmer("k ~ x + (1 | g)", frame, "poisson")


def test_groups_in_several_partitions(two, whole):
    mixed = dd.from_pandas(whole.reset_index(drop=True), npartitions=4)
    small = interlace.in_parts(mixed, rows=20, distinct=False)
    with pytest.raises(DataError, match=r"each level of 'g' in one piece.*data\.shuffle\(on='g'\)"):
        interlace.glmer("k ~ x + (1 | g)", small, "poisson")
    together = interlace.in_parts(mixed.shuffle(on="g"), rows=20, distinct=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = interlace.glmer("k ~ x + (1 | g)", together, "poisson")
    same(model, interlace.glmer("k ~ x + (1 | g)", whole, "poisson"))


def test_an_error_in_the_data_names_partition_and_row(two, pieces):
    wrong = [each.copy() for each in pieces]
    wrong[2].iloc[5, wrong[2].columns.get_loc("k")] = -1
    with pytest.raises(interlace.errors.ResponseError, match="partition 2: .* got -1 in row 5"):
        interlace.glmer("k ~ x + (1 | g)", apart(frame_of(wrong)), "poisson")


def test_what_is_refused(two, frame):
    with pytest.raises(OptionError, match="memory and folder are of parts on this machine"):
        interlace.glmer("k ~ x", interlace.in_parts(frame, memory="1 GB"), "poisson")
    with pytest.raises(UnsupportedModelError, match="expected the name of a column"):
        interlace.glmer("k ~ x + (1 | g)", frame, "poisson", offset=np.zeros(480))
    model = interlace.glmer("k ~ x + (1 | g)", apart(frame), "poisson")
    for ask in (model.influence, model.accuracy, lambda: model.save("nowhere")):
        with pytest.raises(NotAvailableError, match="lie in parts"):
            ask()


def test_slow_malloc_settings_are_told():
    from interlace_dask.malloc import is_slow

    assert is_slow({"MALLOC_TRIM_THRESHOLD_": "65536"})
    assert not is_slow({})
    assert not is_slow({"MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_MMAP_THRESHOLD_": "1000000000"})


# sums among workers


@pytest.fixture
def many(monkeypatch):
    """A client with eight slots on two processes, which add two answers at a time."""
    monkeypatch.setattr("interlace_dask.engine.FAN", 2)
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=4, dashboard_address=":0", memory_limit=0
        ) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(2, timeout=60)
        yield client


def number(names, tables):
    return int(names[0])


def late(part, waits):
    """Return a number whose sums depend on their order, at different times."""
    time.sleep(waits[part])
    return 1.0 / (part + 3) ** 2


def in_pairs(answers):
    """Return the sum of answers two by two, of these sums two by two, until two are left."""
    while len(answers) > 2:
        answers = [sum(answers[k + 1 : k + 2], answers[k]) for k in range(0, len(answers), 2)]
    return sum(answers[1:], answers[0])


def test_workers_add_answers_in_one_order_whatever_comes_first(many, caplog):
    sources = [([str(k)], [dask.delayed(k)]) for k in range(7)]
    engine = DaskParts(many, Told(number), sources)
    assert len(engine._bundles) == 7
    waits = np.zeros(7)
    answers = engine.ask(late, waits)
    wanted = in_pairs(answers)
    assert wanted != sum(answers)  # or the order would not matter
    rounds = engine.rounds
    assert engine.total(late, waits) == wanted
    assert engine.total(late, np.linspace(0.2, 0.0, 7)) == wanted
    assert engine.total(late, np.linspace(0.0, 0.2, 7)) == wanted
    assert engine.rounds == rounds + 3
    many.run(forget_all)
    assert engine.total(late, waits) == wanted
    for function, calls in (("combined", 1), ("answer", 3)):
        # one that has most of the parts: another may be asked for nothing
        victim = max(sorted(set(engine._homes)), key=engine._homes.count)
        pid = many.run(os.getpid)[victim]
        many.run(arm, function, calls, workers=[victim])
        with caplog.at_level("WARNING", logger="interlace"):
            found = [engine.total(late, waits) for _ in range(4)]
        assert found == [wanted] * 4
        assert pid not in many.run(os.getpid).values()
        many.wait_for_workers(2, timeout=60)
    assert any("made again: part(s)" in each.getMessage() for each in caplog.records)


def test_a_fit_whose_sums_workers_make_is_the_fit_of_all_rows(many, whole):
    pieces = [whole[whole["g"] % 6 == k] for k in range(6)]
    crossed = interlace.in_parts(frame_of(pieces), rows=10, distinct=False)
    model = interlace.glmer("k ~ x + (1 | g)", crossed, "poisson")
    assert len(model.in_parts) == 6
    same(model, interlace.glmer("k ~ x + (1 | g)", whole, "poisson"))
