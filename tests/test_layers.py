"""Which way the imports run, and that the core knows nothing by name.

Allowed among this repository's packages: interlace -> interlace_core <- plugins.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from interlace_core.registry.registry import default_registry

ROOT = Path(__file__).parents[1]
CORE = ROOT / "interlace_core" / "src" / "interlace_core"
PLUGINS = sorted(path for path in ROOT.glob("plugins/*/src/*") if path.is_dir())
FOLDERS = {CORE: ROOT / "interlace_core"} | {path: path.parents[1] for path in PLUGINS}
FOLDERS[ROOT / "interlace"] = ROOT
OURS = {path.name for path in FOLDERS}
# The core may name what it ships itself: its covariance structures.
NAMED_BY_PLUGINS = ("family", "approximation", "optimizer")


@pytest.mark.parametrize("package", [CORE, *PLUGINS], ids=lambda path: path.name)
def test_core_and_plugins_import_only_the_core(package):
    for path in sources(package):
        wrong = imported_packages(path.read_text()) & OURS - {package.name, CORE.name}
        assert not wrong, f"{path.relative_to(ROOT)} imports {', '.join(sorted(wrong))}"


@pytest.mark.parametrize("package", FOLDERS, ids=lambda path: path.name)
def test_imports_are_declared_as_dependencies(package):
    """What an extra brings is imported in functions, or where its absence is said in words."""
    declared, extras = declared_dependencies(FOLDERS[package])
    for path in sources(package):
        source = path.read_text()
        for name in foreign(imported_packages(source), package):
            known = providers(name) & (declared | extras)
            assert known, f"{path.relative_to(ROOT)} imports {name}: not declared"
        for name in foreign(imported_at_once(source), package) - said_at_the_door(path, package):
            at_once = f"{path.relative_to(ROOT)} imports {name}, of an extra, outside of functions"
            assert providers(name) & declared, at_once


def said_at_the_door(path: Path, package: Path) -> set[str]:
    """Return what the folder's own `__init__` imports first, and says the absence of in words."""
    door = path.parent / "__init__.py"
    if path.parent == package or path == door:
        return set()
    source = door.read_text()
    return imported_packages(source) - imported_at_once(source)


def foreign(names: set[str], package: Path) -> set[str]:
    """Return the names that are neither of the standard library nor the package's own."""
    return names - sys.stdlib_module_names - {package.name}


def providers(name: str) -> set[str]:
    """Return the normalised names of the distributions that provide an import name."""
    return {normalised(each) for each in distributions().get(name, [name])}


@cache
def distributions() -> Mapping[str, list[str]]:
    """Return what is installed, read once: 0.06 s of files each time, for 700 imports."""
    return packages_distributions()


@pytest.mark.parametrize("kind", NAMED_BY_PLUGINS)
def test_core_names_no_component_of_a_plugin(kind):
    names = {each.name for each in default_registry().classes(kind)}
    assert names, f"no {kind} is installed, so nothing was checked"
    for path in sources(CORE):
        for line, literal in string_literals(path.read_text()):
            found = names & set(re.findall(r"\w+", literal))
            assert not found, f"{path.relative_to(ROOT)}:{line} names {kind} {found}: {literal!r}"


def test_the_checks_see_a_faulty_module():
    faulty = '"""About bobyqa."""\nimport interlace.cli\ndef f(x):\n    return x == "bobyqa"\n'
    assert imported_packages(faulty) == {"interlace"}
    assert list(string_literals(faulty)) == [(4, "bobyqa")]
    assert imported_packages("def f():\n    from interlace_counts import nb2") == {
        "interlace_counts"
    }
    assert imported_packages("from . import records\nfrom .records import Fit") == set()
    assert imported_packages("import importlib; importlib.import_module('interlace_scipy')") == {
        "importlib",
        "interlace_scipy",
    }


def test_imports_inside_functions_are_told_from_others():
    source = "import numpy\ndef f():\n    import joblib\nif TYPE_CHECKING:\n    import dask\n"
    assert imported_at_once(source) == {"numpy"}
    assert imported_packages(source) == {"numpy", "joblib", "dask"}


def sources(package: Path) -> list[Path]:
    """Return the Python files of a package."""
    found = sorted(package.rglob("*.py"))
    assert found, f"{package} holds no Python file"
    return found


def imported_packages(source: str) -> set[str]:
    """Return the top-level packages a module imports, also inside functions and by string."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
        elif isinstance(node, ast.Call) and called_name(node) in ("import_module", "__import__"):
            if node.args and isinstance(node.args[0], ast.Constant):
                found.add(str(node.args[0].value).partition(".")[0])
    return found


def imported_at_once(source: str) -> set[str]:
    """Return the top-level packages imported when the module is, not inside functions."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node.body = [ast.Pass()]
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]
        if isinstance(node, ast.Try) and any(
            "ModuleNotFoundError" in ast.unparse(each) for each in node.handlers
        ):
            node.body = [ast.Pass()]  # of a module that only an extra's users import
    return imported_packages(ast.unparse(tree))


def called_name(call: ast.Call) -> str:
    """Return the last part of what is called, `import_module` for `importlib.import_module()`."""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def string_literals(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of each string that is not a docstring or a bare string."""
    tree = ast.parse(source)
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare:
            yield node.lineno, node.value


def declared_dependencies(folder: Path) -> tuple[set[str], set[str]]:
    """Return the normalised names that a pyproject.toml depends on, and those of its extras."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    extras = [
        each for listed in project.get("optional-dependencies", {}).values() for each in listed
    ]
    return requirement_names(project["dependencies"]), requirement_names(extras)


def requirement_names(requirements: list[str]) -> set[str]:
    """Return the normalised names of some requirements."""
    names = [re.match(r"[\w.-]+", each) for each in requirements]
    return {normalised(each.group()) for each in names if each}


def normalised(distribution: str) -> str:
    """Return a distribution's name as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()
