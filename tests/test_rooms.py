"""The rooms of the core and the order of its floors, typing and lazy imports counted.

A module imports its own room and those of lower floors; no circle runs through any two modules;
a plugin imports what is promised to authors and nothing else of the core.
"""

import ast
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "interlace_core" / "src" / "interlace_core"
PLUGINS = sorted(path for path in ROOT.glob("plugins/*/src/*") if path.is_dir())
FLOORS = (
    {"messages", "records"},
    {"calculus"},
    {"contract"},
    {"engine", "families", "registry", "covariances"},
    {"fitting"},
)
"""Rooms, the lowest first; `testing` stands beside them, and nothing imports it."""
MEANT_AS_MODULES = {"datasets", "errors", "families", "plots"}
PROMISED = {"contract", "families", "engine", "testing"}
"""What a plugin may import: `interlace_core` itself, these, and the modules of `testing`."""


def modules(folder):
    """Return the path of each module of a package by its name."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        name = ".".join(path.relative_to(folder.parent).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


def imported(source, known):
    """Return the modules that a source imports, anywhere in it; submodules where they are meant."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (whole & known) | ({node.module} if whole - known else set())
    return found


def arrows(packages):
    """Return for each module of some packages what it imports of them."""
    paths = {name: path for each in packages for name, path in modules(each).items()}
    return {
        name: (imported(path.read_text(), set(paths)) & set(paths)) - {name}
        for name, path in paths.items()
    }


def room(module):
    """Return the room that a module of the core is in, or is; "" for the package itself."""
    return (module.split(".") + [""])[1]


def upward(graph):
    """Return the arrows between rooms that do not run down."""
    floor = {name: k for k, names in enumerate(FLOORS) for name in names}
    return [
        f"{a} -> {b}"
        for a, targets in graph.items()
        for b in sorted(targets)
        if room(a) in floor
        and room(a) != room(b)
        and (room(b) not in floor or floor[room(b)] >= floor[room(a)])
        and room(b)
    ]


def circles(graph):
    """Return what is left when modules without arrows in or out are taken away, again and again."""
    left = {name: set(targets) for name, targets in graph.items()}
    while True:
        free = {name for name, targets in left.items() if not targets & set(left)}
        free |= {name for name in left if not any(name in t for t in left.values())}
        if not free:
            return sorted(left)
        left = {name: targets - free for name, targets in left.items() if name not in free}


def not_promised(source):
    """Return what a plugin's source imports of the core that is not promised to authors."""
    names = imported(source, set())
    own = {name for name in names if name.partition(".")[0] == "interlace_core"}
    allowed = {"interlace_core"} | {f"interlace_core.{each}" for each in PROMISED}
    return sorted(name for name in own - allowed if not name.startswith("interlace_core.testing."))


def test_imports_of_the_core_run_down():
    assert upward(arrows([CORE])) == []


@pytest.mark.parametrize(
    "packages", [[CORE], [ROOT / "interlace"], *([each] for each in PLUGINS)], ids=str
)
def test_no_circle(packages):
    assert circles(arrows(packages)) == []


def test_every_module_of_the_core_has_a_room():
    rooms = {name for names in FLOORS for name in names} | {"testing"}
    assert {room(name) for name in arrows([CORE])} - {""} <= rooms
    loose = {path.stem for path in CORE.glob("*.py")} - {"__init__"}
    assert len(loose) <= 4, loose


@pytest.mark.parametrize("package", PLUGINS, ids=lambda path: path.name)
def test_plugins_import_what_is_promised(package):
    wrong = {
        str(path.relative_to(ROOT)): names
        for path in modules(package).values()
        if (names := not_promised(path.read_text()))
    }
    assert wrong == {}


@pytest.mark.parametrize(
    "package",
    ["interlace", "interlace_core", *(f"interlace_core.{each}" for each in sorted(PROMISED))],
)
def test_a_public_name_is_no_module_of_the_same_name(package):
    """The import of a module puts it in its package, in the place of what had its name there."""
    names = getattr(import_module(package), "__all__", [])
    assert shadowed(package, names) == []


def shadowed(package, names):
    """Return the names that are a function or a class until a module of that name is imported."""
    modules = [name for name in names if find_spec(f"{package}.{name}")]
    return [name for name in modules if name not in MEANT_AS_MODULES]


def test_faulty_imports_of_each_kind_are_seen():
    up = {"interlace_core.engine.mode": {"interlace_core.fitting.fit"}}
    assert upward(up) == ["interlace_core.engine.mode -> interlace_core.fitting.fit"]
    kit = {"interlace_core.engine.mode": {"interlace_core.testing"}}
    assert upward(kit) == ["interlace_core.engine.mode -> interlace_core.testing"]
    assert upward({"interlace_core.engine.mode": {"interlace_core.records"}}) == []
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["b", "c"]
    known = {"interlace_core.records", "interlace_core"}
    typed = "if TYPE_CHECKING:\n    from interlace_core import records"
    assert imported(typed, known) == {"interlace_core.records"}
    lazy = "def f():\n    from interlace_core.fitting.fit import fit_problem"
    assert not_promised(lazy) == ["interlace_core.fitting.fit"]
    assert not_promised("from interlace_core.contract import Family") == []
    assert shadowed("interlace", ["glmer", "linear"]) == ["linear"]
