"""The registry: each kind of broken plugin leaves the good ones working."""

from __future__ import annotations

import pickle
import sys
import types
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interlace_core import contract, covariances
from interlace_core.calculus.links import Identity
from interlace_core.contract.approximation import Approximation
from interlace_core.contract.covariance import Covariance
from interlace_core.contract.family import Family, Parameter
from interlace_core.contract.hooks import hookimpl
from interlace_core.contract.optimizer import Optimizer, OptimizerFacts
from interlace_core.contract.problem import Problem
from interlace_core.covariances import Diagonal
from interlace_core.messages.errors import (
    AmbiguousNameError,
    OptionError,
    PluginError,
    PluginWarning,
    UnknownNameError,
)
from interlace_core.records import Array, Evaluation, OptimizerResult
from interlace_core.registry.blame import guard
from interlace_core.registry.registry import Registry, default_registry


class PlainFamily(Family):
    name = "plain"
    parameters = (Parameter("mu", Identity()),)

    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        return -np.square(y - eta[0]) / 2

    def mean(self, eta: Sequence[Array]) -> Array:
        return np.asarray(eta[0])

    def variance(self, eta: Sequence[Array]) -> Array:
        raise ZeroDivisionError("no spread")


class OtherFamily(PlainFamily):
    name = "other"


class NeedyFamily(PlainFamily):
    name = "needy"

    def __init__(self, size: int) -> None:
        self.size = size


class UnfinishedFamily(Family):
    name = "unfinished"


class NamelessFamily(PlainFamily):
    name = None  # type: ignore[assignment]


class ColonFamily(PlainFamily):
    name = "a:b"


class OlderFamily(PlainFamily):
    name = "older"
    contract_version = 0


class NewerFamily(PlainFamily):
    name = "newer"
    contract_version = contract.CONTRACT_VERSION + 1


class ShapelessFamily(PlainFamily):
    name = "shapeless"
    parameters = ()  # type: ignore[assignment]


class Walk(Optimizer):
    name = "walk"
    facts = OptimizerFacts(uses_gradient=False, supports_bounds=True)

    def minimize(
        self,
        objective: Callable[[Array], tuple[float, Array]],
        start: Array,
        bounds: tuple[Array, Array],
    ) -> OptimizerResult:
        return OptimizerResult(start, objective(start)[0], True, "stood still", 1)


class FactlessWalk(Walk):
    name = "factless"
    facts = None  # type: ignore[assignment]


class Guess(Approximation):
    name = "guess"
    serves_nAGQ = range(2, 26)

    def __init__(self, family: Family | None = None) -> None:
        self.family = family

    def check(self, problem: Problem) -> None:
        pass

    def objective(self, problem: Problem) -> Callable[[Array], Evaluation]:
        raise NotImplementedError

    def ask(self) -> None:
        assert self.family is not None
        self.family.variance([])


class WordyFamily(PlainFamily):
    name = "wordy"
    contract_version = "1"  # type: ignore[assignment]


class ElusiveFamily(PlainFamily):
    name = "elusive"

    def __new__(cls) -> Any:
        return 3


class Overreach(Guess):
    name = "overreach"
    serves_nAGQ = 25  # type: ignore[assignment]


class Shapeless(Diagonal):
    name = "shapeless"
    n_theta = None  # type: ignore[assignment]


class OneAliasFamily(PlainFamily):
    name = "one-alias"
    aliases = "nb"  # type: ignore[assignment]


class OneLinkFamily(PlainFamily):
    name = "one-link"
    links = "log"  # type: ignore[assignment]


class FlaggedWalk(Walk):
    name = "flagged"
    unavailable = False  # type: ignore[assignment]


class MuteError(Exception):
    def __str__(self) -> str:
        raise ValueError


class MuteObject:
    def __repr__(self) -> str:
        raise ValueError


@dataclass
class FakeDistribution:
    name: Any
    version: Any = "1.0"


@dataclass
class FakeEntryPoint:
    name: str
    load: Callable[[], object]
    dist: Any
    value: str = "somewhere"


def offering(**hooks: Any) -> types.SimpleNamespace:
    """Return a plugin object whose hooks return, or raise, what is given."""

    def hook(answer: Any) -> Callable[[], Any]:
        def implementation() -> Any:
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return hookimpl(implementation)

    return types.SimpleNamespace(**{f"interlace_{k}": hook(v) for k, v in hooks.items()})


def entry(plugin: Any, name: str = "main", dist: str = "acme", version: str = "1.0") -> Any:
    def load() -> object:
        if isinstance(plugin, BaseException):
            raise plugin
        return plugin

    return FakeEntryPoint(name, load, FakeDistribution(dist, version))


def good() -> Any:
    return entry(offering(families=[PlainFamily], optimizers=[Walk]), "first", "good", "2.1")


def extra_argument() -> types.SimpleNamespace:
    @hookimpl
    def interlace_families(config: object) -> list[type[Family]]:
        return [OtherFamily]

    return types.SimpleNamespace(interlace_families=interlace_families)


def unmarked() -> types.SimpleNamespace:
    return types.SimpleNamespace(interlace_families=lambda: [OtherFamily])


def wrapper() -> types.SimpleNamespace:
    @hookimpl(wrapper=True)
    def interlace_families() -> Any:
        return (yield)

    return types.SimpleNamespace(interlace_families=interlace_families)


BREAKAGES: dict[str, tuple[Any, str, str]] = {
    "import": (entry(ImportError("no module named 'x'\nat all")), "import", "ImportError"),
    "exit": (entry(SystemExit(3)), "import", "SystemExit: 3"),
    "module None": (entry(None), "register", "none of the hooks"),
    "signature": (entry(extra_argument()), "register", "config"),
    "misspelt": (entry(offering(familes=[OtherFamily])), "register", "interlace_families"),
    "unmarked": (entry(unmarked()), "register", "hookimpl"),
    "wrapper": (entry(wrapper()), "register", "wrapper"),
    "raises": (entry(offering(families=ValueError("boo"))), "hook", "ValueError: boo"),
    "returns None": (entry(offering(families=None)), "hook", "None"),
    "returns a class": (entry(offering(families=OtherFamily)), "hook", "list of classes"),
    "returns a number": (entry(offering(families=3)), "hook", "TypeError"),
    "instance": (entry(offering(families=[OtherFamily()])), "contract", "expected a class"),
    "wrong base": (entry(offering(families=[dict])), "contract", "contract.Family"),
    "wrong kind": (entry(offering(families=[Walk])), "contract", "contract.Family"),
    "abstract": (entry(offering(families=[UnfinishedFamily])), "contract", "log_density, mean"),
    "nameless": (entry(offering(families=[NamelessFamily])), "contract", "`name`"),
    "colon": (entry(offering(families=[ColonFamily])), "contract", "colon"),
    "needy": (entry(offering(families=[NeedyFamily])), "contract", "NeedyFamily()"),
    "no parameters": (entry(offering(families=[ShapelessFamily])), "contract", "`parameters`"),
    "no facts": (entry(offering(optimizers=[FactlessWalk])), "contract", "`facts`"),
    "older": (entry(offering(families=[OlderFamily])), "contract", "update the plugin"),
    "newer": (entry(offering(families=[NewerFamily])), "contract", "update interlace-core"),
    "wordy version": (entry(offering(families=[WordyFamily])), "contract", "an int, got '1'"),
    "elusive": (entry(offering(families=[ElusiveFamily])), "contract", "returns 3 of type int"),
    "aliases in a text": (entry(offering(families=[OneAliasFamily])), "contract", "`aliases`"),
    "links in a text": (entry(offering(families=[OneLinkFamily])), "contract", "`links`"),
    "a flag": (entry(offering(optimizers=[FlaggedWalk])), "contract", "`unavailable`"),
    "bad nAGQ": (entry(offering(approximations=[Overreach])), "contract", "`serves_nAGQ`"),
    "bad n_theta": (entry(offering(covariances=[Shapeless])), "contract", "`n_theta`"),
    "mute error": (entry(MuteError()), "import", "MuteError: (its message cannot be shown)"),
    "mute object": (entry(offering(families=[MuteObject()])), "contract", "MuteObject"),
    "far hook": (entry(offering(sausages=[])), "register", "the hooks are interlace_families"),
    "name twice": (entry(offering(families=[OtherFamily] * 2)), "name", "first one stays"),
}


@pytest.mark.parametrize("case", BREAKAGES)
@pytest.mark.parametrize("first", [True, False])
def test_a_broken_plugin_warns_once_and_leaves_the_good_one_working(case: str, first: bool) -> None:
    broken, stage, cause = BREAKAGES[case]
    registry = Registry([broken, good()] if first else [good(), broken])
    with pytest.warns(PluginWarning) as caught:
        assert registry.family("plain") is PlainFamily
    assert registry.optimizer("walk") is Walk
    message = str(caught[0].message)
    assert len(caught) == 1 and "\n" not in message
    for noun in ("plugin main", "distribution acme 1.0", f"at stage {stage}", cause):
        assert noun in message
    (failure,) = registry.failures
    assert (failure.distribution, failure.version, failure.plugin) == ("acme", "1.0", "main")
    assert failure.stage == stage and cause in failure.cause


def test_warning_points_at_the_caller() -> None:
    with pytest.warns(PluginWarning) as caught:
        Registry([BREAKAGES["import"][0]]).classes("family")
    assert caught[0].filename == __file__


def test_other_classes_of_a_plugin_survive_one_bad_class() -> None:
    plugin = offering(families=[OlderFamily, OtherFamily], optimizers=ValueError("boo"))
    registry = Registry([entry(plugin)])
    with pytest.warns(PluginWarning) as caught:
        assert registry.family("other") is OtherFamily
    assert [failure.stage for failure in registry.failures] == ["contract", "hook"]
    assert len(caught) == 2
    assert isinstance(registry.failures[1].exception, ValueError)
    assert "family OlderFamily of plugin main" in str(caught[0].message)


def test_warnings_as_errors_do_not_interrupt_loading() -> None:
    registry = Registry([BREAKAGES["import"][0], good()])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(PluginWarning):
            registry.family("plain")
        assert registry.family("plain") is PlainFamily


def test_an_interrupt_passes_and_loading_resumes() -> None:
    answers: list[Any] = [KeyboardInterrupt(), [OtherFamily]]

    @hookimpl
    def interlace_families() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    plugin = types.SimpleNamespace(interlace_families=interlace_families)
    registry = Registry([entry(plugin), good()])
    with pytest.raises(KeyboardInterrupt):
        registry.classes("family")
    assert [each.name for each in registry.classes("family")] == ["other", "plain"]
    assert registry.failures == ()


def test_a_plugin_may_ask_the_registry_while_it_is_imported() -> None:
    seen = []

    def load() -> object:
        seen.append(registry.family("plain"))
        return offering(families=[OtherFamily])

    registry = Registry([FakeEntryPoint("main", load, FakeDistribution("acme")), good()])
    assert registry.family("other") is OtherFamily
    assert seen == [PlainFamily]


def test_nothing_is_loaded_before_the_first_question() -> None:
    loads = []

    def load() -> object:
        loads.append("loaded")
        return offering(families=[OtherFamily])

    registry = Registry([FakeEntryPoint("main", load, FakeDistribution("acme"))])
    assert loads == []
    registry.classes("family")
    registry.family("other")
    assert loads == ["loaded"]


def test_a_class_that_names_no_version_counts_as_made_for_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(contract, "CONTRACT_VERSION", 2)
    with pytest.warns(PluginWarning, match="contract version 1, this interlace-core has 2"):
        Registry([entry(offering(families=[OtherFamily]))]).classes("family")


def test_equal_entry_point_names_of_two_distributions_both_load() -> None:
    registry = Registry(
        [
            entry(offering(families=[PlainFamily]), "same", "one"),
            entry(offering(families=[OtherFamily]), "same", "two"),
        ]
    )
    assert registry.family("plain") is PlainFamily
    assert registry.family("other") is OtherFamily


def test_equal_entry_points_of_one_distribution_keep_the_first() -> None:
    registry = Registry(
        [entry(offering(families=[PlainFamily])), entry(offering(families=[OtherFamily]))]
    )
    with pytest.warns(PluginWarning, match="acme:main is registered already"):
        assert registry.family("plain") is PlainFamily


def test_the_same_module_offered_by_two_distributions_loads_once() -> None:
    plugin = offering(families=[PlainFamily])
    registry = Registry([entry(plugin, dist="one"), entry(plugin, dist="two")])
    with pytest.warns(PluginWarning, match="the same object as one:main"):
        assert registry.family("plain") is PlainFamily


class TestSharedName:
    class Rival(PlainFamily):
        pass

    def registry(self) -> Registry:
        return Registry([good(), entry(offering(families=[self.Rival]), dist="My_Rival")])

    def test_bare_name_is_refused_and_tells_how_to_write_it(self) -> None:
        with pytest.raises(AmbiguousNameError) as caught:
            self.registry().family("plain")
        message = str(caught.value)
        for noun in ("good 2.1", "My_Rival 1.0", "'My_Rival:plain' or 'good:plain'"):
            assert noun in message
        assert 'prefer = {"family:plain" = ' in message

    def test_distribution_and_preference_choose(self) -> None:
        registry = self.registry()
        assert registry.family("good:plain") is PlainFamily
        assert registry.family("my-rival:plain") is self.Rival
        assert registry.family("plain", prefer={"family:plain": "my.rival"}) is self.Rival
        prefer = {"family:plain": "my-rival"}
        assert registry.family("good:plain", prefer=prefer) is PlainFamily

    def test_a_preference_for_what_is_missing_is_refused(self) -> None:
        with pytest.raises(UnknownNameError, match="absent:plain.*provided by My_Rival, good"):
            self.registry().family("plain", prefer={"family:plain": "absent"})

    def test_listing_shows_both(self) -> None:
        registry = self.registry()
        with pytest.raises(UnknownNameError, match="My_Rival:plain, good:plain"):
            registry.family("nothing-like-it")

    def test_the_very_same_class_is_not_ambiguous(self) -> None:
        registry = Registry([good(), entry(offering(families=[PlainFamily]))])
        assert registry.family("plain") is PlainFamily


class TestUnknownName:
    def test_lists_and_suggests_what_is_close(self) -> None:
        with pytest.raises(
            UnknownNameError, match="'Plian'.*Did you mean 'plain'.*families: plain"
        ):
            Registry([good()]).family("Plian")

    def test_does_not_suggest_what_is_far(self) -> None:
        with pytest.raises(UnknownNameError) as caught:
            Registry([good()]).family("zzz")
        assert "Did you mean" not in str(caught.value)

    def test_mentions_failed_plugins(self) -> None:
        registry = Registry([BREAKAGES["import"][0]])
        with pytest.warns(PluginWarning), pytest.raises(UnknownNameError) as caught:
            registry.optimizer("walk")
        for noun in ("optimizers: none", "acme (at import)", "interlace plugins"):
            assert noun in str(caught.value)

    def test_a_name_that_is_no_text_is_refused(self) -> None:
        with pytest.raises(OptionError, match="family.*3"):
            Registry([good()]).family(3)  # type: ignore[arg-type]

    def test_kind_is_checked(self) -> None:
        with pytest.raises(OptionError, match="covariance.*'links'"):
            Registry([good()]).classes("links")


def test_builtin_covariances_come_through_an_entry_point() -> None:
    registry = Registry([entry(covariances, "core", "interlace-core")])
    assert [each.name for each in registry.classes("covariance")] == ["diag", "us"]
    assert issubclass(registry.covariance("us"), Covariance)


class TestRegisterPlugin:
    def test_adds_classes_without_an_entry_point(self) -> None:
        registry = Registry([good()])
        (added,) = registry.register_plugin(offering(families=[OtherFamily]))
        assert added.cls is OtherFamily and added.distribution == "local"
        assert registry.family("local:other") is OtherFamily

    def test_again_replaces_what_was_added_by_hand(self) -> None:
        class Other(OtherFamily):
            pass

        registry = Registry([good()])
        for cls in (OtherFamily, Other):
            registry.register_plugin(offering(families=[cls]), distribution="nb", name="cell")
        assert registry.family("other") is Other
        assert len(registry.classes("family")) == 2

    def test_never_displaces_an_installed_plugin(self) -> None:
        class Impostor(PlainFamily):
            pass

        registry = Registry([good()])
        for name in ("first", "second"):
            with pytest.warns(PluginWarning, match="first one stays"):
                added = registry.register_plugin(
                    offering(families=[Impostor]), distribution="good", name=name
                )
            assert added == ()
        assert registry.family("plain") is PlainFamily


class TestMetadata:
    def test_a_distribution_without_name_is_left_out(self) -> None:
        nameless = FakeEntryPoint("main", lambda: None, FakeDistribution(None))
        with pytest.warns(PluginWarning, match="at stage metadata.*no Name"):
            assert Registry([nameless, good()]).family("plain") is PlainFamily

    def test_a_malformed_reference_is_explained(self) -> None:
        point = FakeEntryPoint("main", lambda: None, FakeDistribution("acme"), "my-package:")
        with pytest.warns(PluginWarning, match="`module:object`, got 'my-package:'"):
            Registry([point]).classes("family")

    def test_an_entry_point_without_distribution_is_named_by_its_module(self) -> None:
        plugin = offering(families=[OtherFamily])
        point = FakeEntryPoint("main", lambda: plugin, None, "package.module")
        (found,) = Registry([point]).classes("family")
        assert (found.distribution, found.version) == ("package", "unknown")

    def install(self, site: Path, name: str, entry_points: str) -> None:
        folder = site / f"{name}-1.2.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (folder / "entry_points.txt").write_text(entry_points)

    def test_installed_plugins_are_found_beside_unreadable_metadata(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        module = types.ModuleType("fake_installed")
        vars(module).update(vars(offering(families=[OtherFamily])))
        monkeypatch.setitem(sys.modules, "fake_installed", module)
        monkeypatch.setattr(sys, "path", [str(tmp_path)])
        self.install(tmp_path, "sound", "[interlace]\nmain = fake_installed\n")
        assert Registry().family("other") is OtherFamily
        self.install(tmp_path, "mangled", "[interlace]\nno equals sign\n")
        self.install(tmp_path, "foreign", "[elsewhere]\nno equals sign\n")
        registry = Registry()
        with pytest.warns(PluginWarning) as caught:
            assert registry.family("sound:other") is OtherFamily
        assert len(caught) == 1
        assert "distribution mangled 1.2" in str(caught[0].message)
        assert "at stage metadata" in str(caught[0].message)


def test_default_registry_is_one_object() -> None:
    assert default_registry() is default_registry()


class TestGuard:
    def registry(self) -> Registry:
        plugin = offering(families=[PlainFamily], approximations=[Guess])
        return Registry([entry(plugin, dist="acme", version="3.0")])

    def test_names_plugin_and_stage_and_chains_the_cause(self) -> None:
        registry = self.registry()
        with pytest.raises(PluginError) as caught, guard(Guess(), "objective", registry=registry):
            raise ZeroDivisionError("by zero")
        for noun in ("approximation 'guess'", "plugin main of distribution acme 3.0"):
            assert noun in str(caught.value)
        assert "at stage objective: ZeroDivisionError: by zero" in str(caught.value)
        assert isinstance(caught.value.__cause__, ZeroDivisionError)

    def test_blames_the_innermost_component(self) -> None:
        outer = Guess(PlainFamily())
        with (
            pytest.raises(PluginError, match="^family 'plain' of plugin main"),
            guard(outer, "objective", registry=self.registry()),
        ):
            outer.ask()

    def test_without_a_component_blames_only_one_on_the_way(self) -> None:
        with pytest.raises(ZeroDivisionError), guard(None, "data", registry=self.registry()):
            raise ZeroDivisionError("nobody's")
        with (
            pytest.raises(PluginError, match="^family 'plain' of plugin main"),
            guard(None, "data", registry=self.registry()),
        ):
            PlainFamily().variance([])

    def test_does_not_blame_a_plugin_for_a_users_subclass(self) -> None:
        with pytest.raises(PluginError, match="OtherFamily .from no installed plugin"):
            with guard(OtherFamily, "start", registry=self.registry()):
                raise ValueError

    @pytest.mark.parametrize("error", [OptionError("mine"), KeyboardInterrupt(), PluginWarning()])
    def test_lets_intended_errors_and_interrupts_pass(self, error: BaseException) -> None:
        with pytest.raises(type(error)) as caught, guard(Guess(), "objective"):
            raise error
        assert caught.value is error

    def test_survives_pickling(self) -> None:
        copy = pickle.loads(pickle.dumps(guard(Guess, "objective")))
        with copy, copy:
            pass


class AliasedFamily(PlainFamily):
    name = "aliased"
    aliases = ("by.another_name", "plain")


@pytest.mark.parametrize("asked", ["by.another_name", "By Another-Name", "good:byanothername"])
def test_an_alias_finds_its_class_in_any_spelling(asked: str) -> None:
    registry = Registry([entry(offering(families=[AliasedFamily, PlainFamily]), dist="good")])
    assert registry.family(asked) is AliasedFamily
    assert registry.family("plain") is PlainFamily  # a name of its own goes before an alias
    assert registry.family("PLAIN".lower()) is PlainFamily


def test_an_alias_follows_the_preference_for_its_name() -> None:
    rival = type("Rival", (AliasedFamily,), {})
    registry = Registry(
        [entry(offering(families=[each]), dist=dist)
         for each, dist in ((AliasedFamily, "one"), (rival, "two"))]
    )  # fmt: skip
    prefer = {"family:aliased": "two"}
    assert registry.family("by-another-name", prefer=prefer) is rival
    with pytest.raises(AmbiguousNameError, match='prefer = {"family:aliased" = "one"}'):
        registry.family("by-another-name")


def test_a_slip_in_an_alias_is_answered_by_the_name() -> None:
    registry = Registry([entry(offering(families=[AliasedFamily]))])
    with pytest.raises(UnknownNameError, match="Did you mean 'aliased'.*called 'by.another_name'"):
        registry.family("by.another_nme")
