"""Saved results: identical when read back, and a clear error for whatever else a file holds."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import warnings
import zipfile
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace import datasets
from interlace.results.result import GLMMResult
from interlace.saving import pack_result, unpack_result
from interlace.saving.schema import SCHEMA
from interlace_core.calculus.links import Log
from interlace_core.contract.family import Family, Parameter
from interlace_core.messages.errors import InterlaceError, SavedFileError, UnknownNameError

ROWS = 120
FORMULAS = (
    "center(x) + scale(z)",
    "poly(x, 2)",
    "bs(x, df=4)",
    "cr(z, df=4, constraints='center')",
    "cc(z, df=4)",
    "C(f, Treatment('b'))",
    "C(k) + C(f, contr.sum)",
    "C(f, {'u': [1, 0, -1]})",
    "C(f, levels=['c', 'b', 'a'])",
    "f * x",
    "0 + f:x",
    "f:C(k)",
    "log(z) + np.sqrt(z) + I(z**2)",
    "log(`x.y`**2) + x.y",
    "{x + 1} + I(f == 'a')",
    "poly(scale(x), 2):f",
    "hashed(f, levels=3)",
    "x + z + I(x + z)",  # a collinear column is dropped
    "x + offset(log(z)) + (0 + x | g:k)",
)


@cache
def made_up() -> pd.DataFrame:
    rng = np.random.default_rng(20)
    data = pd.DataFrame(
        {
            "x": rng.normal(size=ROWS),
            "z": rng.uniform(1.0, 5.0, ROWS),
            "f": rng.choice(list("abc"), ROWS),
            "k": rng.integers(1, 4, ROWS),
            "g": rng.integers(0, 12, ROWS),
            "x.y": rng.normal(size=ROWS),
        }
    )
    effects = rng.normal(0.0, 0.5, 12)
    return data.assign(y=rng.poisson(np.exp(0.5 + effects[data["g"]])))


def quietly(*arguments: Any, **options: Any) -> GLMMResult:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return interlace.glmer(*arguments, **options)


@cache
def small() -> bytes:
    """Return a saved fit of cbpp, whose formula has a factor and a stateful transform."""
    cbpp = datasets.load("cbpp")
    model = interlace.glmer(
        "incidence / size ~ C(period) + center(size)",
        cbpp.assign(period=cbpp["period"].astype(int)),
        "binomial",
        groups="herd",
        weights="size",
    )
    return pack_result(model)


def members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rebuilt(parts: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return a file of these members with hashes that are right."""
    manifest = json.loads(parts["manifest.json"])
    manifest["sha256"] = {
        name: hashlib.sha256(part).hexdigest()
        for name, part in parts.items()
        if name != "manifest.json"
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, part in {**parts, "manifest.json": json.dumps(manifest).encode()}.items():
            archive.writestr(name, part)
    return buffer.getvalue()


def forged(change: Any) -> bytes:
    """Return the small file with its document changed in place, and hashes that are right."""
    parts = members(small())
    document = json.loads(parts["result.json"])
    change(document)
    return rebuilt({**parts, "result.json": json.dumps(document).encode()})


def assert_same(one: GLMMResult, other: GLMMResult, newdata: pd.DataFrame) -> None:
    assert str(one.summary()) == str(other.summary())
    pd.testing.assert_series_equal(one.predict(newdata), other.predict(newdata), check_exact=True)
    pd.testing.assert_series_equal(one.fittedvalues, other.fittedvalues, check_exact=True)
    pd.testing.assert_frame_equal(one.vcov(), other.vcov(), check_exact=True)
    assert pack_result(one) == pack_result(other)


@pytest.mark.parametrize("right", FORMULAS)
def test_saved_result_predicts_new_data_exactly_as_before(right: str, tmp_path: Any) -> None:
    data = made_up()
    model = quietly(f"y ~ {right} + (1 | g)", data, "poisson")
    path = tmp_path / "model.interlace"
    model.save(path)
    newdata = data.sample(40, random_state=3).drop(columns="y")
    assert_same(model, interlace.load(path), newdata)
    assert_same(model, pickle.loads(pickle.dumps(model)), newdata)


def test_saved_result_keeps_compositions_formulas_and_learned_state(tmp_path: Any) -> None:
    salamanders = datasets.load("Salamanders")
    model = quietly("count ~ mined + (1 | site)", salamanders, "poisson", ziformula="~ mined")
    model.save(tmp_path / "zip.interlace")
    loaded = interlace.load(tmp_path / "zip.interlace")
    assert_same(model, loaded, salamanders.head(30))
    assert loaded.family == model.family
    restored = unpack_result(small(), GLMMResult)
    np.testing.assert_array_equal(restored.family.trials, restored.y[:, 1])


@pytest.mark.parametrize(
    "index",
    [
        pd.RangeIndex(5, 5 + ROWS),
        pd.Index(range(ROWS, 0, -1)),
        pd.Index([f"row {i}" for i in range(ROWS)], name="label"),
        pd.date_range("2020-03-28", periods=ROWS, freq="h", tz="Europe/Berlin"),
        pd.MultiIndex.from_arrays([range(ROWS), ["a"] * ROWS], names=["i", None]),
        pd.Index([0.5, "text", *range(ROWS - 2)], dtype=object),
    ],
    ids=["range", "integers", "text", "times", "two levels", "mixed"],
)
def test_saved_result_keeps_the_index_of_the_data(index: pd.Index) -> None:
    model = quietly("y ~ x + (1 | g)", made_up().set_axis(index, axis=0), "poisson")
    found = unpack_result(pack_result(model), GLMMResult).rows.index
    assert found.equals(model.rows.index)
    assert list(found.names) == list(index.names)


def test_cumulative_and_linear_fits_are_loaded_as_what_they_are(tmp_path: Any) -> None:
    data = made_up().assign(rating=lambda d: np.minimum(d["y"], 3))
    data["rating"] = pd.Categorical(data["rating"].astype(str), ordered=True)
    ordinal = interlace.clmm("rating ~ x + (1 | g)", data)
    linear = interlace.fit("Reaction ~ Days + (1 | Subject)", datasets.load("sleepstudy"))
    for model in (ordinal, linear):
        model.save(tmp_path / "model.interlace")
        loaded = interlace.load(tmp_path / "model.interlace")
        assert type(loaded) is type(model)
        assert str(loaded.summary()) == str(model.summary())
    pd.testing.assert_series_equal(
        interlace.load(tmp_path / "model.interlace").fe_pvalues, linear.fe_pvalues
    )


def test_loaded_result_says_what_it_was_saved_without(tmp_path: Any) -> None:
    model = quietly(
        "y ~ x + (1 | g)", made_up(), "poisson", priors={"fixed": interlace.normal(0.0, 2.5)}
    )
    loaded = unpack_result(pack_result(model, data=False), GLMMResult)
    assert loaded.penalised and loaded.llf == model.llf
    newdata = made_up().head(20)
    intervals = (
        each.predict(newdata, interval="confidence", include_re=False) for each in (model, loaded)
    )
    pd.testing.assert_frame_equal(*intervals)
    with pytest.raises(InterlaceError, match="saved without"):
        loaded.profile()


def test_loaded_result_has_the_same_wald_intervals_and_tidy_table(tmp_path: Any) -> None:
    sleep = interlace.fit("Reaction ~ Days + (Days | Subject)", datasets.load("sleepstudy"))
    for model in (sleep, quietly("y ~ x + (1 | g)", made_up(), "negativebinomial")):
        model.save(tmp_path / "model.interlace", data=False)
        loaded = interlace.load(tmp_path / "model.interlace")
        pd.testing.assert_frame_equal(loaded.confint(), model.confint())
        pd.testing.assert_frame_equal(loaded.tidy(conf_int=True), model.tidy(conf_int=True))
        with pytest.raises(InterlaceError, match="confint: needs the data"):
            loaded.confint(method="profile")


def test_saved_file_of_a_newer_schema_says_to_update() -> None:
    parts = members(small())
    newer = f'"schema": {SCHEMA + 1}'.encode()
    parts["manifest.json"] = parts["manifest.json"].replace(f'"schema": {SCHEMA}'.encode(), newer)
    with pytest.raises(SavedFileError, match=f"schema {SCHEMA + 1}.*update interlace-core"):
        unpack_result(rebuilt(parts), GLMMResult)


def test_saved_file_of_an_older_schema_says_to_fit_again() -> None:
    parts = members(small())
    parts["manifest.json"] = parts["manifest.json"].replace(
        f'"schema": {SCHEMA}'.encode(), b'"schema": 1'
    )
    with pytest.raises(SavedFileError, match="schema 1.*fit the model again"):
        unpack_result(rebuilt(parts), GLMMResult)


def test_saved_file_that_is_none_is_refused_in_words(tmp_path: Any) -> None:
    path = tmp_path / "x.interlace"
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(SavedFileError, match=r"written by save\(\), but it cannot be read"):
        interlace.load(path)
    with pytest.raises(FileNotFoundError):
        interlace.load(tmp_path / "missing.interlace")


def test_saved_file_may_not_be_compressed_or_hold_pickled_arrays() -> None:
    parts = members(small())
    with pytest.raises(SavedFileError, match="compressed"):
        unpack_result(rebuilt(parts, zipfile.ZIP_DEFLATED), GLMMResult)
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(SavedFileError, match="type object"):
        unpack_result(rebuilt({**parts, "arrays/a0.npy": buffer.getvalue()}), GLMMResult)


def test_saved_file_names_the_plugin_that_is_missing() -> None:
    def change(document: Any) -> None:
        document["family"] = {"name": "interlace-elsewhere:zeta", "options": {}}

    with pytest.raises(UnknownNameError, match="interlace-elsewhere.*install it"):
        unpack_result(forged(change), GLMMResult)


class Homemade(Family):
    """A Poisson family that no plugin provides."""

    name = "homemade"
    parameters = (Parameter("mu", Log(), role="mean"),)

    def log_density(self, y: Any, eta: Any) -> Any:
        """Return the Poisson log-density without its constant."""
        return y * eta[0] - np.exp(eta[0])

    def mean(self, eta: Any) -> Any:
        """Return exp(eta)."""
        return np.exp(eta[0])


def test_save_refuses_a_family_that_could_not_be_found_again() -> None:
    model = quietly("y ~ x + (1 | g)", made_up(), Homemade())
    with pytest.raises(SavedFileError, match="homemade.*no installed plugin"):
        pack_result(model)


def test_save_refuses_a_function_of_the_users() -> None:
    functions = {"shifted": np.cbrt}
    model = quietly("y ~ I(shifted(x)) + (1 | g)", made_up(), "poisson", functions=functions)
    with pytest.raises(SavedFileError, match=r"shifted\(\).*Add the result to the data"):
        pack_result(model)


HOSTILE = (
    "__import__('os').system('touch {}')",
    "open('{}', 'w')",
    "np.save('{}', x)",
    "np.fromfile('{}')",
    "np.lib.format.open_memmap('{}', mode='w+', shape=3)",
    "np.add.outer(x, x)",
    "np.log(x, x)",
    "np.log(x, out=x)",
    "x.to_csv('{}')",
    "x.__class__.__base__.__subclasses__()",
    "(lambda: open('{}', 'w'))()",
    "[open('{}', 'w') for _ in [1]]",
    "eval(\"open('{}', 'w')\")",
    "`x`.to_pickle('{}')",
    "'`' + open('{}', 'w').name + '`'",
    'f\'{{open("{}", "w")}}\'',
    "hashed(x, levels=3, hash_func=open)",
    "C(x, open('{}', 'w'))",
    "9**9**9**9",
    "'a' * 1000000000000",
    "C(x, levels=[0] * 1000000000000)",
    "poly(x, 1000000000000)",
    "bs(x, df=1000000000000)",
    "bs(x, df=9999 * 9999 * 9999)",
    "hashed(x, ~-1000000000)",
    "x if x else x",
    "x[0]",
    "-" * 5000 + "x",
    "(" * 500 + "x" + ")" * 500,
    "size " + "+ size" * 5000,
)


@pytest.mark.parametrize("expression", HOSTILE)
def test_saved_file_with_a_hostile_formula_is_refused_and_not_run(
    expression: str, tmp_path: Any
) -> None:
    target = tmp_path / "ran"
    expression = expression.replace("{}", str(target)).replace("{{", "{").replace("}}", "}")

    def change(document: Any) -> None:
        design = document["encoder"]["predictors"][0]["design"]
        names = design["terms"][1]["names"]
        design["terms"][1] = {
            "factors": [expression], "parts": [[[expression, False]]], "names": names
        }  # fmt: skip
        design["factors"] = {
            expression: {"expression": expression, "columns": ["x"], "levels": None, "states": {}}
        }
        design["columns"] = ["x"]
        document["encoder"]["columns"]["x"] = document["encoder"]["columns"]["size"]

    with pytest.raises(SavedFileError, match="could run code that came with the file"):
        unpack_result(forged(change), GLMMResult)
    assert not target.exists()


@pytest.mark.parametrize("text", ["open('ran')", "size.real", "np.save('a', size)", "size[0]"])
def test_saved_file_with_a_hostile_offset_is_refused(text: str) -> None:
    def change(document: Any) -> None:
        document["encoder"]["predictors"][0]["offsets"] = [
            {
                "source": text, "argument": "offset", "start": 0, "stop": len(text),
                "columns": ["size"],
            }
        ]  # fmt: skip

    with pytest.raises(SavedFileError, match=r"offsets\[0\]"):
        unpack_result(forged(change), GLMMResult)


@pytest.mark.parametrize(
    "shape", ["(0, 9223372036854775807)", "(True,)", "(1,) * 100", "(-1,)", "(1, 1, 1, 1, 1, 1)"]
)
def test_arrays_of_impossible_shapes_are_refused(shape: str) -> None:
    shape = str((1,) * 100) if "*" in shape else shape
    head = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    array = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head
    with pytest.raises(SavedFileError):
        unpack_result(rebuilt({**members(small()), "arrays/a0.npy": array}), GLMMResult)


@pytest.mark.parametrize("stop", [10**10, 2**63, 2**70])
def test_levels_and_rows_by_the_million_of_a_few_bytes_are_refused(stop: int) -> None:
    few = {"names": [None], "kind": "range", "labels": [0, stop, 1]}

    def levels(document: Any) -> None:
        for column in document["encoder"]["columns"].values():
            column["levels"] = few

    def index(document: Any) -> None:
        document["rows"]["index"] = few

    with pytest.raises(SavedFileError):
        unpack_result(forged(levels), GLMMResult)
    with pytest.raises(SavedFileError):
        unpack_result(forged(index), GLMMResult)


def test_truncated_files_are_all_refused() -> None:
    content = small()
    rng = np.random.default_rng(1)
    for stop in rng.integers(0, len(content), 300):
        with pytest.raises(SavedFileError):
            unpack_result(content[:stop], GLMMResult)


def test_files_with_flipped_bits_are_refused_or_identical() -> None:
    content, rng = small(), np.random.default_rng(2)
    original = unpack_result(content, GLMMResult)
    refused = 0
    for _ in range(500):
        altered = bytearray(content)
        for place in rng.integers(0, len(content), rng.integers(1, 4)):
            altered[place] ^= 1 << int(rng.integers(0, 8))
        try:
            found = unpack_result(bytes(altered), GLMMResult)
        except SavedFileError:
            refused += 1
        else:  # the flip met a byte without a meaning, such as a member's time
            assert pack_result(found) == pack_result(original)
    assert refused > 400


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every node of a JSON document."""
    found = [path] if path else []
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(
        node, list) else ()  # fmt: skip
    for key, inside in items:
        found += places(inside, (*path, key))
    return found


REPLACEMENTS = (
    None, True, -1, 0, 7, 10**30, 0.5, "nan", "", "a0", "x" * 50, "C(period)",
    [], [[]], {}, {"a": 1},
)  # fmt: skip


def altered_document(rng: np.random.Generator) -> bytes:
    """Return the document of the small file with one node replaced or removed."""
    document = json.loads(members(small())["result.json"])
    paths = places(document)
    # chosen by depth first, so that the many labels do not take all the draws
    depth = rng.choice(sorted({len(path) for path in paths}))
    choice = [path for path in paths if len(path) == depth]
    *way, last = choice[rng.integers(len(choice))]
    node = document
    for key in way:
        node = node[key]
    if rng.random() < 0.2:
        del node[last]
    else:
        node[last] = REPLACEMENTS[rng.integers(len(REPLACEMENTS))]
    return json.dumps(document).encode()


def test_files_with_altered_json_are_all_refused() -> None:
    parts, rng = members(small()), np.random.default_rng(3)
    buffer: io.BytesIO
    for _ in range(300):
        document = altered_document(rng)
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, part in {**parts, "result.json": document}.items():
                archive.writestr(name, part)
        with pytest.raises(SavedFileError, match="hash"):
            unpack_result(buffer.getvalue(), GLMMResult)


def test_forged_files_with_right_hashes_fail_in_words_or_hold_a_result() -> None:
    parts, rng = members(small()), np.random.default_rng(4)
    newdata = datasets.load("cbpp")
    newdata = newdata.assign(period=newdata["period"].astype(int))
    refused = 0
    for _ in range(500):
        content = rebuilt({**parts, "result.json": altered_document(rng)})
        try:
            found = unpack_result(content, GLMMResult)
        except InterlaceError:
            refused += 1
            continue
        assert isinstance(found, GLMMResult)
        str(found.summary())
        try:
            found.predict(newdata, new_levels="error")
        except InterlaceError:
            refused += 1
    assert refused > 300


def test_intervals_and_other_labels_come_back(tmp_path):
    rng = np.random.default_rng(5)
    data = pd.DataFrame({"g": rng.integers(0, 12, 120), "x": rng.normal(size=120)})
    data["y"] = rng.poisson(np.exp(0.3 * data["x"]))
    data["band"], data["whole"] = pd.cut(data["x"], 3), pd.cut(data["g"], [-1, 3, 7, 12])
    fit = interlace.glmer("y ~ band + C(whole) + (1 | g)", data, "poisson")
    fit.save(tmp_path / "m.interlace")
    again = interlace.load(tmp_path / "m.interlace")
    pd.testing.assert_series_equal(again.predict(data.head()), fit.predict(data.head()))


@pytest.mark.parametrize(
    "labels",
    [
        pd.IntervalIndex.from_breaks(range(57), closed="both"),
        pd.to_timedelta(range(56), unit="D"),
        pd.period_range("2020-01", periods=56, freq="M"),
        pd.CategoricalIndex([f"r{i}" for i in range(56)]),
        pd.Index(range(56), dtype="Int64"),
    ],
    ids=lambda labels: type(labels).__name__ + str(labels.dtype),
)
def test_labels_of_rows_come_back(labels, tmp_path):
    cbpp = interlace.datasets.load("cbpp").set_index(labels)
    fit = interlace.glmer("incidence ~ period", cbpp, "poisson")
    fit.save(tmp_path / "m.interlace")
    again = interlace.load(tmp_path / "m.interlace").rows.index
    assert [str(each) for each in again] == [str(each) for each in labels]


@pytest.mark.parametrize(
    "hold",
    [
        {"Days": 10.0},
        {"Intercept": 250.0, "Days": 10.0},
        {"Days": 10.0, "sd": {"Subject": 37.0}},
        {"Days": 10.0, "sigma": 31.0},
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["REML", "ML"])
def test_linear_models_with_held_numbers_come_back(method, hold, tmp_path):
    sleep = interlace.datasets.load("sleepstudy")
    fit = interlace.fit("Reaction ~ Days + (1 | Subject)", sleep, method=method, hold=hold)
    fit.save(tmp_path / "m.interlace")
    again = interlace.load(tmp_path / "m.interlace")
    assert str(again.summary()) == str(fit.summary())
