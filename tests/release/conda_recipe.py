"""The recipe for conda, made from the source distributions of a release.

Usage: python tests/release/conda_recipe.py FOLDER [RECIPE]

One recipe with an output for each distribution. Names, versions, summaries, licences and
requirements are those of the sources themselves and cannot drift from them; each source is held by
its SHA-256. FOLDER holds the source distributions; the recipe, of version 1 of conda's schema, goes
to RECIPE (by default FOLDER/recipe.yaml).
"""

from __future__ import annotations

import email
import email.message
import hashlib
import re
import sys
import tarfile
from pathlib import Path
from typing import Any

import yaml

INDEX = "https://pypi.org/packages/source"
COMPILED = "interlace-kernels"
# How an index name is called at conda where the two differ.
CONDA_NAMES = {"matplotlib": "matplotlib-base"}


def recipe(sources: list[Path]) -> dict[str, Any]:
    """Return the recipe of all outputs, each after what it needs."""
    read = {each["Name"]: (path, each) for path in sources for each in [metadata(path)]}
    (version,) = {each["Version"] for _, each in read.values()}
    return {
        "schema_version": 1,
        "context": {"version": version, "python_min": "3.11"},
        "recipe": {"name": "interlace", "version": "${{ version }}"},
        "source": [source(path, each) for path, each in read.values()],
        "build": {"number": 0},
        "outputs": [output(read[name][1], set(read)) for name in in_order(read)],
        "about": about(read["interlace"][1]),
    }


def metadata(path: Path) -> email.message.Message:
    """Return the metadata of a source distribution."""
    with tarfile.open(path) as opened:
        (name,) = [each for each in opened.getnames() if re.fullmatch(r"[^/]+/PKG-INFO", each)]
        file = opened.extractfile(name)
        assert file is not None
        return email.message_from_bytes(file.read())


def source(path: Path, read: email.message.Message) -> dict[str, str]:
    """Return where a source distribution comes from, and its hash."""
    file = path.name.replace(read["Version"], "${{ version }}")
    name = path.name.split("-")[0]
    return {
        "url": f"{INDEX}/{name[0]}/{name}/{file}",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "target_directory": read["Name"],
    }


def output(read: email.message.Message, ours: set[str]) -> dict[str, Any]:
    """Return one package: how it is built, what it needs, what is tried after it was built."""
    compiled = read["Name"] == COMPILED
    python = "python" if compiled else "python ${{ python_min }}.*"
    here: dict[str, Any] = {
        "package": {"name": read["Name"]},
        "build": {
            "script": f"python -m pip install ./{read['Name']} --no-deps --no-build-isolation -vv"
        },
        "requirements": {
            "host": [python, "pip", "hatchling"],
            "run": ["python >=${{ python_min }}", *requirements(read, ours)],
        },
        "tests": [{"python": {"imports": [read["Name"].replace("-", "_")], "pip_check": True}}],
        "about": about(read),
    }
    if compiled:
        here["build"]["script"] = {
            "content": here["build"]["script"],
            "env": {"INTERLACE_KERNELS": "required"},
        }
        here["requirements"]["build"] = ["${{ compiler('c') }}", "${{ stdlib('c') }}"]
    else:
        here["build"]["noarch"] = "python"
    return here


def requirements(read: email.message.Message, ours: set[str]) -> list[str]:
    """Return what a distribution needs without extras, in conda's words."""
    found = []
    for name, bounds in needs(read).items():
        if name in ours:
            found.append(f"{name} ==${{{{ version }}}}")
        else:
            found.append(f"{CONDA_NAMES.get(name, name.lower())} {bounds}".strip())
    return found


def needs(read: email.message.Message) -> dict[str, str]:
    """Return the bounds of what a distribution needs without extras of its own, by name.

    The extras of what it needs are left out: conda knows none, and its dask brings its frames.
    """
    plain = [each for each in read.get_all("Requires-Dist") or [] if ";" not in each]
    pattern = r"^([A-Za-z0-9._-]+)(?:\s*\[[^\]]*\])?\s*(.*)$"
    return dict(re.findall(pattern, "\n".join(plain), re.MULTILINE))


def in_order(read: dict[str, tuple[Path, email.message.Message]]) -> list[str]:
    """Return the names, each after those of ours that it needs."""
    done: list[str] = []
    while len(done) < len(read):
        before = len(done)
        for name, (_, each) in sorted(read.items()):
            if name not in done and needs(each).keys() & set(read) <= set(done):
                done.append(name)
        assert len(done) > before, "distributions need each other in a circle"
    return done


def about(read: email.message.Message) -> dict[str, str]:
    """Return what the page of a package says."""
    return {
        "summary": read["Summary"],
        "license": read["License-Expression"],
        "license_file": f"{read['Name']}/LICENSE",
    }


def main(folder: Path, file: Path) -> None:
    """Write the recipe."""
    made = recipe(sorted(folder.glob("*.tar.gz")))
    heading = "# Made by tests/release/conda_recipe.py from the source distributions.\n"
    file.write_text(heading + yaml.safe_dump(made, sort_keys=False, width=100), encoding="utf-8")
    print(f"{file}: {len(made['outputs'])} packages, version {made['context']['version']}")


if __name__ == "__main__":
    where = Path(sys.argv[1])
    main(where, Path(sys.argv[2]) if len(sys.argv) > 2 else where / "recipe.yaml")
