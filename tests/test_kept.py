"""What is kept from one fit to the next changes nothing: data, texts and files that differ tell."""

from __future__ import annotations

import gc
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.config import files
from interlace.data.asked import read_request
from interlace.data.frames import as_column, open_table, read_columns
from interlace.data.levels import labels_of
from interlace.data.request import ModelRequest
from interlace.fits import options_in_force
from interlace_core.calculus.kept import Kept
from interlace_core.messages.errors import FormulaError, OptionError


class TestByObject:
    def test_an_object_is_asked_once_and_an_equal_one_again(self) -> None:
        asked: list[int] = []
        kept: Kept[int] = Kept(lambda index: asked.append(1) or len(index))  # type: ignore[func-returns-value]
        one, other = pd.Index(["a", "b"]), pd.Index(["a", "b"])
        assert [kept(one), kept(one), kept(other)] == [2, 2, 2]
        assert len(asked) == 2

    def test_nothing_outlives_its_object(self) -> None:
        kept: Kept[int] = Kept(len)
        for k in range(200):
            assert kept(pd.Index(range(k))) == k
        gc.collect()
        assert not kept._made

    def test_names_of_levels_do_not_keep_them_alive(self) -> None:
        categories = pd.Index([f"level {k}" for k in range(5)], dtype=object)
        before = len(labels_of._made)
        assert labels_of(categories).names[-1] == "level 4"
        assert len(labels_of._made) == before + 1
        del categories
        gc.collect()
        assert len(labels_of._made) == before


class TestColumns:
    FRAME = pd.DataFrame(
        {
            "x": np.arange(6.0),
            "k": np.arange(6),
            "s": np.arange(6, dtype=np.int8),
            "b": [True, False] * 3,
            "t": list("abcabc"),
            "c": pd.Categorical(list("abcabc"), categories=list("cbad")),
            "n": pd.array([1, None, 3, 4, 5, 6], dtype="Int64"),
            "d": pd.date_range("2020-01-01", periods=6),
            "o": pd.Series([1, 2.5, 3, 4, 5, 6], dtype=object),
        }
    )

    @pytest.mark.parametrize("name", list(FRAME.columns))
    def test_as_pandas_holds_them_and_as_it_gives_them_they_are_the_same(self, name: str) -> None:
        read = read_columns(open_table(self.FRAME), [name])[name]
        series = self.FRAME[name]
        given: Any = series.array if not isinstance(series.dtype, np.dtype) else series.to_numpy()
        expected = as_column(name, given)
        assert read.values.dtype == expected.values.dtype
        np.testing.assert_array_equal(read.values, expected.values)
        np.testing.assert_array_equal(read.missing, expected.missing)
        assert (read.levels is None) == (expected.levels is None)
        if read.levels is not None:
            assert list(read.levels) == list(expected.levels)

    def test_a_frame_of_a_class_of_its_own_is_asked_itself(self) -> None:
        class Doubling(pd.DataFrame):
            def __getitem__(self, key: Any) -> Any:
                return 2.0 * super().__getitem__(key)

        read = read_columns(open_table(Doubling({"x": [1.0, 2.0]})), ["x"])
        assert read["x"].values.tolist() == [2.0, 4.0]

    @pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
    def test_numbers_too_large_to_be_squared_are_complete_all_the_same(
        self, strange: float
    ) -> None:
        large = as_column("x", np.array([1e200, 1.0]))
        assert not large.complete  # by the sum: the slow look decides
        assert not large.missing.any()
        assert not as_column("x", np.array([strange, 1.0])).complete

    def test_the_fit_of_a_frame_follows_its_values(self) -> None:
        frame = interlace.datasets.load("sleepstudy")
        first = interlace.fit("Reaction ~ Days + (1 | Subject)", frame)
        frame["Reaction"] = 2.0 * frame["Reaction"]
        second = interlace.fit("Reaction ~ Days + (1 | Subject)", frame)
        np.testing.assert_allclose(second.fe_params, 2.0 * first.fe_params, rtol=1e-6)
        frame["Subject"] = frame["Subject"].cat.rename_categories(lambda name: f"s{name}")
        third = interlace.fit("Reaction ~ Days + (1 | Subject)", frame)
        assert third.llf == pytest.approx(second.llf, abs=1e-9)
        assert next(iter(third.random_effects["Subject"].index)) == "s308"


class TestTexts:
    def test_one_text_over_other_columns_is_read_anew(self) -> None:
        frame = pd.DataFrame({"y": [0.0, 1.0], "x": [1.0, 2.0], "g": ["a", "b"]})
        request = ModelRequest("y ~ x + (1 | g)", frame, "gaussian")
        first = read_request(request, open_table(frame))
        assert read_request(request, open_table(frame.copy())) is first
        assert read_request(request, open_table(frame.assign(z=1.0))) is not first
        with pytest.raises(FormulaError, match="'x'"):
            read_request(request, open_table(frame.drop(columns="x")))

    def test_a_constant_that_is_a_column_elsewhere(self) -> None:
        frame = interlace.datasets.load("sleepstudy")
        text = "Reaction ~ I(Days * pi) + (1 | Subject)"
        constant = interlace.fit(text, frame)
        column = interlace.fit(text, frame.assign(pi=2.0))
        assert constant.encoder.predictors[0].design.columns == ("Days",)
        assert column.encoder.predictors[0].design.columns == ("Days", "pi")
        ratio = float(constant.fe_params.iloc[1] / column.fe_params.iloc[1])
        assert ratio == pytest.approx(2.0 / np.pi, rel=1e-6)

    def test_values_in_the_place_of_texts_are_not_kept(self) -> None:
        frame = pd.DataFrame({"y": [0.0, 1.0], "x": [1.0, 2.0], "g": ["a", "b"]})
        for given in ({"weights": np.ones(2)}, {"functions": {"f": np.abs}}):
            request = ModelRequest("y ~ x + (1 | g)", frame, "gaussian", **given)  # type: ignore[arg-type]
            read = [read_request(request, open_table(frame)) for _ in range(2)]
            assert read[0] is not read[1]

    def test_levels_of_one_name_and_two_types_are_told_apart(self) -> None:
        rng = np.random.default_rng(1)
        numbers = np.repeat([1, 2, 3], 20)
        frame = pd.DataFrame({"y": rng.normal(size=60), "g": np.tile(np.arange(10), 6)})
        text = "y ~ C(f, Treatment(2.0)) + (1 | g)"
        frame["f"] = numbers
        assert "C(f, Treatment(2.0))[T.1]" in interlace.fit(text, frame).fe_params.index
        frame["f"] = numbers.astype(str)
        with pytest.raises(FormulaError, match="not among them"):
            interlace.fit(text, frame)


class TestSurroundings:
    """Consecutive calls see each change of files and environment, be it within a moment."""

    @pytest.fixture
    def project(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        folder = tmp_path / "above" / "project"
        folder.mkdir(parents=True)
        monkeypatch.chdir(folder)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
        self.settle(tmp_path)
        return folder

    @staticmethod
    def settle(folder: Path) -> None:
        """Let all times be old, as they are in a folder where nobody works just now."""
        old = time.time() - 1000.0
        for path in (folder, *folder.rglob("*")):
            os.utime(path, (old, old))

    @pytest.fixture(params=["recent", "settled"])
    def settled(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
        """Whether what was read is kept though all is new here: a change's time cannot be set."""
        if request.param == "settled":
            monkeypatch.setattr(files, "RECENT", -1e9)
        return bool(request.param == "settled")

    def test_files_that_come_change_and_go(self, project: Path, settled: bool) -> None:
        def answers() -> tuple[int, int]:
            return options_in_force().nAGQ, options_in_force().nAGQ

        assert answers() == (1, 1)
        if settled:
            assert options_in_force() is options_in_force()
        above = project.parent / "interlace.toml"
        above.write_text("nAGQ = 5\n")
        assert answers() == (5, 5)
        above.write_text("nAGQ = 7\n")
        assert answers() == (7, 7)
        own = project / "pyproject.toml"
        own.write_text("[tool.interlace]\nnAGQ = 9\n")
        assert answers() == (9, 9)
        own.unlink()
        assert answers() == (7, 7)
        above.unlink()
        assert answers() == (1, 1)

    def test_a_link_to_nothing_that_becomes_a_file(self, project: Path, settled: bool) -> None:
        target = project.parent.parent / "elsewhere.toml"
        (project / "interlace.toml").symlink_to(target)
        assert options_in_force().nAGQ == 1
        target.write_text("nAGQ = 3\n")
        assert options_in_force().nAGQ == 3

    def test_the_users_file(self, project: Path, settled: bool, tmp_path: Path) -> None:
        assert options_in_force().nAGQ == 1
        folder = tmp_path / "config" / "interlace"
        folder.mkdir(parents=True)
        (folder / "interlace.toml").write_text("nAGQ = 4\n")
        assert options_in_force().nAGQ == 4

    def test_the_environment_and_blocks_of_options(
        self, project: Path, settled: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert options_in_force().starts == 0
        monkeypatch.setenv("INTERLACE_STARTS", "2")
        assert options_in_force().starts == 2
        with interlace.options(starts=3):
            assert options_in_force().starts == 3
        assert options_in_force().starts == 2
        monkeypatch.setenv("INTERLACE_STARTS", "none")
        for _ in range(2):
            with pytest.raises(OptionError, match="INTERLACE_STARTS"):
                options_in_force()

    def test_calls_that_differ_in_type_alone(self, project: Path, settled: bool) -> None:
        assert options_in_force(nAGQ=1).nAGQ == 1
        for _ in range(2):
            with pytest.raises(OptionError, match="nAGQ"):
                options_in_force(nAGQ=True)
        assert options_in_force("fit", nAGQ=1).given == {"nAGQ"}
