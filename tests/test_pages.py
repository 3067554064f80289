"""What the pages name exists: files, functions, modules, rooms, links.

A name is written `file.py:function` (or `Class.method`), a path from the root or from the sources
of a distribution, as in `interlace/driver.py`.
"""

import ast
import importlib
import re
from pathlib import Path

import pytest
from files_of_a_fit import files_passed, fit_cbpp

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
CORE = ROOT / "interlace_core" / "src" / "interlace_core"
SOURCES = [ROOT, ROOT / "interlace_core" / "src", *sorted(ROOT.glob("plugins/*/src"))]
SOURCES += [ROOT / "plugins" / "interlace-template-covariance"]
SOURCES += [ROOT / "plugins" / "interlace-template"]  # what the pages for authors are about
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(DOCS.rglob("*.md")),
    *sorted(ROOT.glob("benchmarks/**/*.md")),
    *sorted(ROOT.glob("tests/**/*.md")),
]
FOLDERS = ("interlace", "interlace_core", "plugins", "tests", "docs", "benchmarks", "changelog")
NAME = re.compile(r"`([\w/-]+\.py):([\w.]+)`")
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
EQUATION = re.compile(r"^\((\d+)\)  ", re.MULTILINE)
COMMAND = re.compile(r"(?:python|pytest|nox -s \w+ --) ([\w/]+\.py)\b")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@every_page
def test_every_name_on_a_page_is_in_its_file(page):
    wrong = [f"{file}:{name}" for file, name in NAME.findall(page.read_text()) if lacks(file, name)]
    assert wrong == []


@every_page
def test_every_path_on_a_page_exists(page):
    assert [path for path in paths(page.read_text()) if located(path) is None] == []


@every_page
def test_every_link_between_pages_leads_somewhere(page):
    links = [each for each in LINK.findall(page.read_text()) if "://" not in each]
    assert [each for each in links if not (page.parent / each.partition("#")[0]).exists()] == []


@every_page
def test_every_dotted_name_of_ours_can_be_imported(page):
    spans = SPAN.findall(without_blocks(page.read_text()))
    names = [each for each in spans if re.fullmatch(r"interlace_(core|\w+)\.[\w.]+[a-zA-Z_]", each)]
    assert [each for each in names if not importable(each)] == []


def test_faulty_names_paths_and_modules_are_seen():
    assert lacks("interlace/driver.py", "no_such_function")
    assert lacks("interlace_core/no_such_file.py", "fit_glmm")
    assert lacks("interlace_core/engine/joint_density.py", "Conditional.no_such_method")
    assert not lacks("interlace_core/engine/joint_density.py", "Conditional.evaluate")
    assert not lacks("interlace_core/engine/mode.py", "MAX_REACH")
    text = "`docs/no-such-page.md`, `interlace_core/contract/`, `python tests/none.py`, `a/b.py`"
    assert paths(text) == ["docs/no-such-page.md", "interlace_core/contract/", "tests/none.py"]
    assert [located(each) is None for each in paths(text)] == [True, False, True]
    assert not importable("interlace_core.no_such_room")
    assert importable("interlace_core.contract.Family")


def test_the_page_of_the_architecture_has_every_room():
    text = (DOCS / "architecture.md").read_text()
    rooms = {path.name for path in CORE.iterdir() if (path / "__init__.py").exists()}
    loose = {path.name for path in CORE.glob("*.py")} - {"__init__.py"}
    rows = set(re.findall(r"^\| \S+ \| `interlace_core/(\w+)(?:\.py|/)` \|", text, re.MULTILINE))
    assert rows == rooms | {Path(each).stem for each in loose}


def test_every_question_of_the_architecture_has_an_answer_that_resolves():
    section = (DOCS / "architecture.md").read_text().partition("## Where is ...?")[2]
    rows = [line for line in section.partition("##")[0].splitlines() if line.startswith("| ")]
    assert len(rows) > 30
    answers = [row.rsplit(" | ", 1)[1] for row in rows[1:]]
    assert [each for each in answers if not NAME.search(each) and not paths(each)] == []


def test_the_ten_files_of_a_fit_are_run_by_a_fit():
    section = (DOCS / "architecture.md").read_text().partition("## One fit in ten files")[2]
    steps = re.findall(r"^\d+\. .*", section.partition("##")[0], re.MULTILINE)
    named = [match[0] for step in steps for match in NAME.findall(step)]
    assert len(steps) == 10
    assert set(named) <= {
        re.sub(r"^.*?/(interlace_)", r"\1", each)
        for each in files_passed(lambda: fit_cbpp(kernels=False))
    }


def test_every_equation_has_its_number_and_the_function_that_computes_it():
    text = (DOCS / "mathematics.md").read_text()
    numbers = [int(each) for each in EQUATION.findall(text)]
    assert numbers == list(range(1, len(numbers) + 1))
    for section in text.split("\n## ")[1:]:
        for part in re.split(r"(?<=\.)\n\n(?=[A-Z][^`]*\n\n```text)", section):
            if EQUATION.search(part):
                assert "Computed by `" in part, part.splitlines()[0]


def test_decisions_are_short_and_listed():
    index = (DOCS / "decisions" / "README.md").read_text()
    pages = sorted((DOCS / "decisions").glob("[0-9]*.md"))
    assert [int(page.name[:3]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        assert f"({page.name})" in index
        assert len(page.read_text().splitlines()) <= 20, page.name


def test_a_word_of_the_glossary_has_one_meaning():
    rows = re.findall(r"^\| (.+?) \| ", (DOCS / "glossary.md").read_text(), re.MULTILINE)
    assert len(rows) == len(set(rows)) > 40


def paths(text):
    """Return the paths of the repository that a text has in code spans, patterns left out."""
    found = []
    for span in SPAN.findall(without_blocks(text)):
        command = COMMAND.search(span)
        path = command.group(1) if command else span.partition(":")[0]
        inside = path.partition("/")[0] in FOLDERS or path.startswith("interlace_")
        if "/" in path and inside and re.fullmatch(r"[\w./-]+", path):
            found.append(path)
    return found


def without_blocks(text):
    """Return a page without its code blocks, which run."""
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def located(path):
    """Return where a path is, from the root or from a distribution's sources; None if nowhere."""
    return next((folder / path for folder in SOURCES if (folder / path).exists()), None)


def lacks(file, name):
    """Return whether a file does not exist, or defines nothing of that name."""
    where = located(file)
    if where is None:
        return True
    body = ast.parse(where.read_text()).body
    for part in name.split("."):
        found = [node for node in body if part in defined(node)]
        if not found:
            return True
        body = getattr(found[0], "body", [])
    return False


def defined(node):
    """Return the names that a statement of a module or a class defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return {
        each.id
        for target in targets
        if target
        for each in ast.walk(target)
        if isinstance(each, ast.Name)
    }


def importable(name):
    """Return whether a dotted name is a module, or what a module holds."""
    module, _, rest = name, "", []
    while module:
        try:
            found = importlib.import_module(module)
            break
        except ModuleNotFoundError:
            module, _, last = module.rpartition(".")
            rest = [last, *rest]
    else:
        return False
    for part in rest:
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
    return True
