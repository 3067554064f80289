"""A release from end to end into an index on this machine, and what users do with it.

Usage: python tests/release/rehearse.py FOLDER [PYTHON ...]

Builds source distributions and wheels into FOLDER, checks them as an index would, serves them, and
with each Python (by default this one) installs `interlace[all]` from there in a new environment:
the demo, a model by each optimizer that the extras bring, analyses of the gallery with what they
assert, a third party's package from the template, and the removal of all of it. The recipe for
conda is made from the same files and read as conda's own builder reads it; nothing is built from
it, since that takes conda's packages.
"""

from __future__ import annotations

import email
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import conda_recipe
from index import name_of, serve
from rattler_build import RenderConfig, Stage0Recipe, VariantConfig

ROOT = Path(__file__).parents[2]
TEMPLATES = ("interlace-template", "interlace-template-covariance")
DISTRIBUTIONS = [
    ROOT / "interlace_core",
    *(
        path.parent
        for path in sorted(ROOT.glob("plugins/*/pyproject.toml"))
        if path.parent.name not in TEMPLATES
    ),
    ROOT,
]
FIT = """
import interlace
from interlace import datasets

cbpp = datasets.load("cbpp")
for optimizer in ("lbfgsb", "bobyqa", "cobyqa"):
    formula = "incidence / size ~ period + (1 | herd)"
    m = interlace.glmer(formula, cbpp, "binomial", weights="size", optimizer=optimizer)
    assert abs(m.llf + 92.02628) < 1e-4, (optimizer, m.llf)
m.summary().to_html()
interlace.plots.coefficients(m)
print("fits agree,", m.settings["kernel"])
"""
GALLERY = ("bcg", "cbpp", "grouseticks", "sleepstudy", "wine")
CELL = re.compile(r"^```\{code-cell\}\n(?::[^\n]*\n)*(.*?)^```", re.MULTILINE | re.DOTALL)
THIRD = """
import interlace
table = interlace.plugins()
assert "annual_maxima" in set(table["name"]), table
print("third party's family is found")
"""


def run(*command: object, quiet: bool = True, **options: object) -> str:
    """Run a command; show all of it if it fails."""
    done = subprocess.run(
        [str(each) for each in command], capture_output=quiet, text=True, check=False, **options
    )  # type: ignore[call-overload]
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n")
        raise SystemExit(f"failed: {' '.join(map(str, command))}")
    return str(done.stdout or "")


def build(folder: Path) -> list[Path]:
    """Build everything; return the files."""
    for each in DISTRIBUTIONS:
        run(sys.executable, "-m", "build", "--installer", "uv", "--outdir", folder, each)
    files = sorted(folder.iterdir())
    assert len(files) == 2 * len(DISTRIBUTIONS), files
    return files


def check(files: list[Path]) -> None:
    """Hold the files against what an index asks, and against each other."""
    run(sys.executable, "-m", "twine", "check", "--strict", *files)
    wheels = [each for each in files if each.suffix == ".whl"]
    # several top-level names are no fault of a wheel that carries templates
    run("check-wheel-contents", *wheels)
    for each in DISTRIBUTIONS:
        run("validate-pyproject", each / "pyproject.toml")
    versions = {metadata(wheel)["Version"] for wheel in wheels}
    assert len(versions) == 1, f"one version for all, not {versions}"
    names = {metadata(wheel)["Name"] for wheel in wheels}
    for wheel in wheels:
        wanted = metadata(wheel).get_all("Requires-Dist") or []
        ours = {re.split(r"[\[>]", each)[0].strip() for each in wanted if "interlace" in each}
        assert ours <= names, f"{wheel.name} wants {ours - names}, which is not released"
    print(
        f"{len(files)} files, version {versions.pop()}: twine, wheel contents, pyproject: in order"
    )


def read_recipe(folder: Path) -> None:
    """Make conda's recipe, and read it as for one Python and one compiler."""
    file = folder.parent / f"{folder.name}-recipe.yaml"
    conda_recipe.main(folder, file)
    variant = VariantConfig({"c_compiler": ["gcc"], "c_stdlib": ["sysroot"], "python": ["3.12.*"]})
    read = Stage0Recipe.from_file(str(file)).render(variant, RenderConfig())
    names = {str(each.recipe.package.name) for each in read}
    assert len(names) == len(DISTRIBUTIONS), names
    print(f"conda's recipe: {len(names)} packages")


def metadata(wheel: Path) -> email.message.Message:
    """Return the metadata of a wheel."""
    with zipfile.ZipFile(wheel) as opened:
        (name,) = [each for each in opened.namelist() if each.endswith(".dist-info/METADATA")]
        return email.message_from_bytes(opened.read(name))


def starts(python: str) -> bool:
    """Return whether there is a Python behind a name."""
    return not subprocess.run([python, "--version"], capture_output=True, check=False).returncode


def use(python: str, index: str, names: list[str]) -> None:
    """Do what a user does, with one Python."""
    with tempfile.TemporaryDirectory() as folder:
        run(python, "-m", "venv", f"{folder}/venv")
        bin_ = Path(folder, "venv", "bin")
        pip = [bin_ / "python", "-m", "pip"]
        install = [*pip, "install", "--quiet", "--index-url", index]
        run(*install, "interlace[all]")
        version = run(bin_ / "interlace", "--version", cwd=folder).splitlines()[0]
        assert "period[T.3]" in run(bin_ / "interlace", "demo", cwd=folder)
        fits = run(bin_ / "python", "-c", FIT, cwd=folder, env={"MPLBACKEND": "agg"}).strip()
        for page in GALLERY:
            run(bin_ / "python", "-c", analysis(page), cwd=folder, env={"MPLBACKEND": "agg"})
        run(bin_ / "interlace", "new-family", "annual_maxima", cwd=folder)
        run(*install, "./interlace-annual-maxima", "pytest", cwd=folder)
        run(bin_ / "python", "-m", "pytest", "-q", "interlace-annual-maxima", cwd=folder)
        third = run(bin_ / "python", "-c", THIRD, cwd=folder).strip()
        run(*pip, "uninstall", "--yes", "--quiet", "interlace-annual-maxima", *names)
        left = [path for path in bin_.parent.rglob("interlace*") if path.suffix != ".pyc"]
        assert not left, f"left behind: {left}"
        done = f"{len(GALLERY)} analyses of the gallery; {third}; nothing is left after uninstall"
        print(f"{python}: {version}; {fits}; {done}")


def analysis(page: str) -> str:
    """Return the code of a page of the gallery, with what it asserts."""
    cells = CELL.findall((ROOT / "docs" / "gallery" / f"{page}.md").read_text(encoding="utf-8"))
    code = "\n".join(cells)
    assert "assert" in code, f"{page} asserts nothing"
    return code


def main(folder: Path, pythons: list[str]) -> None:
    """Rehearse."""
    folder.mkdir(parents=True, exist_ok=True)
    files = build(folder)
    check(files)
    read_recipe(folder)
    names = sorted({name_of(each) for each in files})
    with serve(folder) as index:
        for python in pythons or [sys.executable]:
            if starts(python):
                use(python, index, names)
            else:
                print(f"{python}: does not start (a shim of a version that is off?), left out")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2:])
