"""Defaults: each place, their order, and refusals that name the place."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from interlace.config.options import Config, options
from interlace_core.messages.errors import OptionError

BUILTIN = {"optimizer": "built", "nAGQ": 1, "verbose": False, "new_levels": "population"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project" / "analysis"
    folder.mkdir(parents=True)
    return folder


def make(project: Path, environ: Mapping[str, str] | None = None, **more: Any) -> Config:
    home = project.parent.parent / "home"
    return Config(BUILTIN, cwd=project, environ=environ or {}, home=home, **more)


def write_user(project: Path, text: str) -> Path:
    path = project.parent.parent / "home" / ".config" / "interlace" / "interlace.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def test_each_place_beats_the_weaker_ones(project: Path) -> None:
    def value(environ: Mapping[str, str] | None = None, call: Any = None) -> Any:
        return make(project, environ).resolve("optimizer", call)

    assert value() == "built"
    write_user(project, 'optimizer = "user"')
    assert value() == "user"
    (project.parent / "interlace.toml").write_text('optimizer = "project"')
    assert value() == "project"
    environ = {"INTERLACE_OPTIMIZER": "environment"}
    assert value(environ) == "environment"
    with options(optimizer="context"):
        assert value(environ) == "context"
        with options(optimizer="inner", nAGQ=None):
            assert value(environ) == "inner"
        assert value(environ, "call") == "call"
    assert value(environ) == "environment"


class TestProjectFile:
    def test_nearest_folder_wins_and_is_not_merged(self, project: Path) -> None:
        (project.parent / "interlace.toml").write_text('optimizer = "far"\nnAGQ = 5')
        (project / "pyproject.toml").write_text('[tool.interlace]\noptimizer = "near"')
        assert make(project).resolve("optimizer") == "near"
        assert make(project).resolve("nAGQ") == 1

    def test_interlace_toml_wins_over_pyproject_beside_it(self, project: Path) -> None:
        (project / "pyproject.toml").write_text('[tool.interlace]\noptimizer = "shared"')
        (project / "interlace.toml").write_text('optimizer = "own"')
        assert make(project).resolve("optimizer") == "own"

    def test_a_pyproject_without_our_table_does_not_end_the_search(self, project: Path) -> None:
        (project / "pyproject.toml").write_text("[tool.interlaced]\nx = 1")
        (project.parent / "interlace.toml").write_text('optimizer = "far"')
        assert make(project).resolve("optimizer") == "far"

    def test_a_broken_pyproject_that_is_not_ours_is_passed_over(self, project: Path) -> None:
        (project / "pyproject.toml").write_text("name = {{ interlace }}")
        assert make(project).resolve("optimizer") == "built"
        (project / "pyproject.toml").write_bytes(b"\xff\xfe")
        assert make(project).resolve("optimizer") == "built"

    @pytest.mark.parametrize(
        ("name", "text"),
        [("pyproject.toml", "[tool.interlace]\nx ="), ("interlace.toml", "optimizer bobyqa")],
    )
    def test_our_broken_file_is_refused_by_path(self, project: Path, name: str, text: str) -> None:
        path = project / name
        path.write_text(text)
        with pytest.raises(OptionError, match="cannot be read as TOML") as caught:
            make(project).resolve("nAGQ")
        assert str(path) in str(caught.value)

    def test_a_section_that_is_no_table_is_refused(self, project: Path) -> None:
        (project / "pyproject.toml").write_text("[tool]\ninterlace = 3")
        with pytest.raises(OptionError, match="table, got 3"):
            make(project).resolve("nAGQ")

    def test_a_deleted_working_folder_has_no_project(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def gone() -> Path:
            raise FileNotFoundError

        monkeypatch.setattr(Path, "cwd", gone)
        assert Config(BUILTIN, environ={}, home=project).resolve("nAGQ") == 1


class TestUserFile:
    @pytest.mark.parametrize(
        ("variable", "windows"), [("XDG_CONFIG_HOME", False), ("APPDATA", True)]
    )
    def test_platform_folder(self, project: Path, variable: str, windows: bool) -> None:
        folder = project.parent / "settings"
        (folder / "interlace").mkdir(parents=True)
        (folder / "interlace" / "interlace.toml").write_text("nAGQ = 7")
        config = make(project, {variable: str(folder)}, windows=windows)
        assert config.resolve("nAGQ") == 7

    def test_a_relative_xdg_folder_is_ignored(self, project: Path) -> None:
        write_user(project, "nAGQ = 7")
        assert make(project, {"XDG_CONFIG_HOME": "relative"}).resolve("nAGQ") == 7

    def test_windows_without_appdata_has_none(self, project: Path) -> None:
        assert make(project, windows=True).resolve("nAGQ") == 1

    def test_an_unknown_home_has_none(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def homeless() -> Path:
            raise RuntimeError

        monkeypatch.setattr(Path, "home", homeless)
        assert Config(BUILTIN, cwd=project, environ={}).resolve("nAGQ") == 1


class TestEnvironment:
    @pytest.mark.parametrize(
        ("variable", "text", "key", "expected"),
        [
            ("INTERLACE_NAGQ", "25", "nAGQ", 25),
            ("INTERLACE_nAGQ", "25", "nAGQ", 25),
            ("INTERLACE_VERBOSE", "yes", "verbose", True),
            ("INTERLACE_VERBOSE", "0", "verbose", False),
            ("INTERLACE_OPTIMIZER", " ", "optimizer", "built"),
            ("INTERLACE_TOL_DECREMENT", "1e-6", "tol_decrement", 1e-6),
            ("INTERLACE_OPTIMIZER_OPTIONS__MAXITER", "200", "optimizer_options", {"maxiter": 200}),
            (
                "INTERLACE_OPTIMIZER_OPTIONS__maxIter",
                "a b",
                "optimizer_options",
                {"maxIter": "a b"},
            ),
            ("INTERLACE_OPTIMIZER_OPTIONS", "{a = 1}", "optimizer_options", {"a": 1}),
            ("INTERLACE_PREFER__FAMILY__TWO", "mine", "prefer", {"family:two": "mine"}),
        ],
    )
    def test_text_becomes_a_value(
        self, project: Path, variable: str, text: str, key: str, expected: Any
    ) -> None:
        found = make(project, {variable: text}).resolve(key)
        assert found == expected and type(found) is type(expected)

    @pytest.mark.parametrize(
        ("variable", "text"),
        [
            ("INTERLACE_NAGQ", "many"),
            ("INTERLACE_NAGQ", "-1"),
            ("INTERLACE_VERBOSE", "perhaps"),
            ("INTERLACE_TOL_DECREMENT", "inf"),
            ("INTERLACE_TOL_DECREMENT", "small"),
            ("INTERLACE_NEW_LEVELS", "guess"),
            ("INTERLACE_OPTIMIZER__X", "1"),
            ("INTERLACE_OPTIMIZER_OPTIONS", "3"),
            ("INTERLACE_OPTIMISER", "x"),
        ],
    )
    def test_refusals_name_the_variable(self, project: Path, variable: str, text: str) -> None:
        with pytest.raises(OptionError, match=f"environment variable {variable}: "):
            make(project, {variable: text}).resolve("nAGQ")


class TestUnknownKey:
    def test_names_file_and_closest_key(self, project: Path) -> None:
        path = project / "pyproject.toml"
        path.write_text('[tool.interlace]\noptimiser = "x"')
        with pytest.raises(OptionError, match="Did you mean 'optimizer'") as caught:
            make(project).resolve("nAGQ")
        assert f"{path} [tool.interlace]: unknown key 'optimiser'" in str(caught.value)

    def test_case_is_a_slip(self) -> None:
        with pytest.raises(OptionError, match=r"options\(\): .*Did you mean 'nAGQ'"):
            options(nagq=3)

    def test_nothing_is_suggested_for_what_is_far(self, project: Path) -> None:
        with pytest.raises(OptionError, match="unknown key 'zzz'") as caught:
            make(project).resolve("zzz")
        assert "Did you mean" not in str(caught.value)


class TestOptions:
    def test_a_bad_value_is_refused_at_once(self) -> None:
        with pytest.raises(OptionError, match=r"options\(\): nAGQ: expected an integer.*True"):
            options(nAGQ=True)

    def test_ends_with_an_error(self, project: Path) -> None:
        with pytest.raises(ZeroDivisionError), options(nAGQ=3):
            raise ZeroDivisionError
        assert make(project).resolve("nAGQ") == 1

    def test_another_thread_has_its_own(self, project: Path) -> None:
        seen = []
        with options(nAGQ=3):
            thread = threading.Thread(target=lambda: seen.append(make(project).resolve("nAGQ")))
            thread.start()
            thread.join()
        assert seen == [1]

    def test_the_users_table_is_copied(self, project: Path) -> None:
        mine = {"a": 1}
        with options(optimizer_options=mine):
            mine["a"] = 2
            first = make(project).resolve("optimizer_options")
            first["a"] = 3
            assert make(project).resolve("optimizer_options") == {"a": 1}


class TestCall:
    def test_objects_pass_as_they_are(self, project: Path) -> None:
        mine = object()
        assert make(project).resolve("optimizer", mine) is mine
        with options(optimizer=mine):
            assert make(project).resolve("optimizer") is mine

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("optimizer", 3),
            ("optimizer", ""),
            ("nAGQ", 1.5),
            ("verbose", "yes"),
            ("tol_decrement", True),
            ("prefer", {"family": "mine"}),
            ("prefer", {"link:log": "mine"}),
            ("prefer", {"family:two": 3}),
            ("optimizer_options", {1: 2}),
        ],
    )
    def test_bad_values_are_refused(self, project: Path, key: str, value: Any) -> None:
        with pytest.raises(OptionError, match=f"call: {key}: expected"):
            make(project).resolve(key, value)

    def test_unset_is_none_or_an_empty_table(self, project: Path) -> None:
        assert make(project).resolve("approximation") is None
        assert make(project).resolve("prefer") == {}


class TestTables:
    def test_entries_are_merged(self, project: Path) -> None:
        (project / "interlace.toml").write_text("[optimizer_options]\na = 1\nb = 2")
        config = make(project, {"INTERLACE_OPTIMIZER_OPTIONS__B": "3"})
        with options(optimizer_options={"c": 4}):
            found = config.resolve("optimizer_options", {"d": 5})
        assert found == {"a": 1, "b": 3, "c": 4, "d": 5}

    def test_another_optimizer_drops_weaker_options(self, project: Path) -> None:
        (project / "interlace.toml").write_text('optimizer = "x"\noptimizer_options = {a = 1}')
        config = make(project)
        assert config.resolve("optimizer_options") == {"a": 1}
        assert config.resolve_all({"optimizer": "x"})["optimizer_options"] == {"a": 1}
        call = {"optimizer": "y", "optimizer_options": {"b": 2}}
        assert config.resolve_all(call)["optimizer_options"] == {"b": 2}
        assert config.resolve_all({"optimizer": object()})["optimizer_options"] == {}
        assert make(project, {"INTERLACE_OPTIMIZER": "y"}).resolve("optimizer_options") == {}

    def test_preferences_can_be_nested(self, project: Path) -> None:
        (project / "interlace.toml").write_text(
            '[prefer]\n"family:one" = "d1"\noptimizer.two = "d2"'
        )
        assert make(project).resolve("prefer") == {"family:one": "d1", "optimizer:two": "d2"}


def test_origins_tell_each_value_and_place(project: Path) -> None:
    path = project / "interlace.toml"
    path.write_text("nAGQ = 9\noptimizer_options = {a = 1}")
    config = make(project, {"INTERLACE_OPTIMIZER_OPTIONS__B": "2"})
    with options(verbose=True):
        rows = {row.key: (row.value, row.origin) for row in config.origins({"nAGQ": None})}
    assert rows == {
        "optimizer": ("built", "built in"),
        "optimizer_options.a": (1, str(path)),
        "optimizer_options.b": (2, "environment variable INTERLACE_OPTIMIZER_OPTIONS__B"),
        "approximation": (None, "not set"),
        "nAGQ": (9, str(path)),
        "new_levels": ("population", "built in"),
        "verbose": (True, "options()"),
        "starts": (None, "not set"),
        "max_seconds": (None, "not set"),
        "kernels": (None, "not set"),
        "threads": (None, "not set"),
        "formula_limits": (None, "not set"),
        "prefer": (None, "not set"),
        "tol_decrement": (None, "not set"),
    }


def test_files_are_read_when_asked_and_once(project: Path) -> None:
    config = make(project)
    path = project / "interlace.toml"
    path.write_text("nAGQ = 3")
    assert config.resolve("nAGQ") == 3
    path.write_text("nAGQ = 4")
    assert config.resolve("nAGQ") == 3
    assert make(project).resolve("nAGQ") == 4


@pytest.mark.parametrize(
    ("key", "value"),
    [("tol_decrement", 1e300), ("tol_decrement", 0.02), ("starts", 10**9)],
)
def test_no_place_may_give_a_value_that_makes_verdicts_or_memory_meaningless(
    project: Path, key: str, value: Any
) -> None:
    with pytest.raises(OptionError, match=rf"options\(\): {key}: expected .* got"):
        options(**{key: value})
    with pytest.raises(OptionError, match=f"INTERLACE_{key.upper()}"):
        make(project, {f"INTERLACE_{key.upper()}": str(value)}).resolve(key)
    (project / "interlace.toml").write_text(f"{key} = {value}")
    with pytest.raises(OptionError, match=rf"interlace.toml: {key}"):
        make(project).resolve(key)


def test_every_value_of_new_levels_can_be_configured() -> None:
    for value in ("population", "error", "marginal", "sample"):
        with options(new_levels=value):
            assert Config().resolve("new_levels") == value


@pytest.mark.parametrize(
    "text", ["9" * 5000, "[" * 5000, "{a = " * 2000], ids=["digits", "brackets", "tables"]
)
def test_more_digits_or_brackets_than_python_reads_are_refused(project: Path, text: str) -> None:
    with pytest.raises(OptionError, match="optimizer_options"):
        make(project, {"INTERLACE_OPTIMIZER_OPTIONS": text}).resolve("optimizer_options")
    write_user(project, f"optimizer_options = {text}")
    with pytest.raises(OptionError, match="cannot be read as TOML"):
        make(project).resolve("optimizer_options")
