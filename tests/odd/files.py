"""Change saved files in all places, load them, and list what did not end in an error in words.

    python tests/odd/files.py [--number 5000] [--seed 0]

A changed file may load where the change does no harm; then it must predict, and show itself, or
refuse in words. Nothing may need over 500 MB or take over ten seconds.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import io
import json
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import pandas as pd

import interlace
from interlace_core.messages.errors import InterlaceError, InterlaceWarning, PluginError
from odd import run
from odd.calls import Door, data

MEMORY = 500 * 2**20

LEAVES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    7,
    10**6,
    10**10,
    2**63,
    -(2**63),
    10**30,
    0.5,
    -1.5,
    1e308,
    "nan",
    "inf",
    "",
    "x",
    "g",
    "\u0000",
    "y ~ x",
    "bs(x, df=9999)",
    "x" * 100_000,
    "np.load('x')",
    "a0",
    "a1",
    [],
    [None],
    [0, 10**10, 1],
    [[]],
    {},
    {"dict": []},
    {"array": "a0"},
    {"number": "nan"},
    {"kind": "range", "names": [None], "labels": [0, 10**10, 1]},
    {"kind": "text", "names": [None], "labels": ["u", "u"]},
)

SHAPES: tuple[Any, ...] = (
    (0,),
    (0, 2**63 - 1),
    (2**40,),
    (2**63,),
    (-1,),
    (1,) * 100,
    (True,),
    (3, 3, 3),
    "(3,",
    (),
    (10**9,),
)

DTYPES = (
    "<f8",
    ">f8",
    "<i8",
    "|b1",
    "|O",
    "<U4",
    "<c16",
    "<f2",
    "V8",
    "<M8[D]",
    "nonsense",
    "<f8,<i8",
)


def bases() -> list[bytes]:
    """Return saved files of several kinds."""
    d = data()
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore", InterlaceWarning)
        fits = [
            interlace.glmer("y ~ scale(x) + f + offset(x) + (x | g)", d, "poisson"),
            interlace.fit("z ~ bs(x, df=4) + f + (1 | g) + (1 | f:g)", d),
            interlace.clmm("r ~ poly(x, 2) + (1 | g)", d),
            interlace.glmer("y ~ C(f) * x + (1 | g)", d, "negativebinomial", ziformula="~ 1"),
        ]
        found = []
        for i, fit in enumerate(fits):
            for with_data in (True, False):
                path = Path(folder) / f"{i}{with_data}"
                fit.save(path, data=with_data)
                found.append(path.read_bytes())
    return found


def parts_of(content: bytes) -> dict[str, bytes]:
    """Return the members of a file."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def joined(parts: dict[str, bytes]) -> bytes:
    """Return the file of some members, with a manifest that is right about them."""
    manifest = json.loads(parts["manifest.json"])
    others = {name: each for name, each in parts.items() if name != "manifest.json"}
    manifest["sha256"] = {name: hashlib.sha256(each).hexdigest() for name, each in others.items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, each in {"manifest.json": json.dumps(manifest).encode(), **others}.items():
            archive.writestr(name, each)
    return buffer.getvalue()


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of each node of a document."""
    found = [path] if path else []
    inside = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    for key, each in inside:
        found += places(each, (*path, key))
    return found


def with_node(document: Any, path: tuple[Any, ...], change: Any) -> Any:
    """Return a document with one node changed."""
    document = copy.deepcopy(document)
    *above, last = path
    node = document
    for key in above:
        node = node[key]
    change(node, last)
    return document


def changed_document(parts: dict[str, bytes], rng: np.random.Generator) -> bytes:
    """Return a file with one to three nodes of its document changed."""
    document = json.loads(parts["result.json"])
    for _ in range(int(rng.integers(1, 4))):
        known = places(document)
        # nodes near the root as often as the many labels at the end
        depth = int(rng.integers(1, 1 + max(map(len, known))))
        near = [each for each in known if len(each) == depth] or known
        path = near[rng.integers(len(near))]
        leaf = LEAVES[rng.integers(len(LEAVES))]
        other = known[rng.integers(len(known))]

        def put(node: Any, key: Any, leaf: Any = leaf) -> None:
            node[key] = leaf

        def drop(node: Any, key: Any) -> None:
            del node[key]

        def repeat(node: Any, key: Any) -> None:
            node[key] = [node[key]] * 3 if not isinstance(node[key], list) else node[key] * 2

        def move(node: Any, key: Any, other: Any = other, document: Any = document) -> None:
            taken = document
            for step in other:
                taken = taken[step]
            node[key] = copy.deepcopy(taken)

        def nudge(node: Any, key: Any) -> None:
            value = node[key]
            node[key] = value + 1 if isinstance(value, (int, float)) else [value]

        change = (put, put, put, drop, repeat, move, nudge)[rng.integers(7)]
        document = with_node(document, path, change)
    return joined({**parts, "result.json": json.dumps(document).encode()})


def changed_field(parts: dict[str, bytes], rng: np.random.Generator) -> bytes:
    """Return a file with one field of its document changed, each kind of field as often."""
    document = json.loads(parts["result.json"])
    fields: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for path in places(document):
        kind = tuple("" if isinstance(step, int) else step for step in path)
        fields.setdefault(kind, []).append(path)
    paths = list(fields.values())[rng.integers(len(fields))]
    leaf = LEAVES[rng.integers(len(LEAVES))]

    def put(node: Any, key: Any) -> None:
        node[key] = leaf

    document = with_node(document, paths[rng.integers(len(paths))], put)
    return joined({**parts, "result.json": json.dumps(document).encode()})


def changed_array(parts: dict[str, bytes], rng: np.random.Generator) -> bytes:
    """Return a file with one array changed: its header, its length, or its numbers."""
    names = [name for name in parts if name.startswith("arrays/")]
    name = names[rng.integers(len(names))]
    array = np.lib.format.read_array(io.BytesIO(parts[name]), allow_pickle=False)
    how = rng.integers(5)
    if how == 0:
        shape, dtype = SHAPES[rng.integers(len(SHAPES))], DTYPES[rng.integers(len(DTYPES))]
        header = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
        header += b" " * (117 - len(header)) + b"\n"
        content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 64
    elif how == 1:
        content = parts[name][: rng.integers(len(parts[name]))]
    else:
        if how == 2:
            array = np.resize(array, tuple(rng.integers(0, 5, rng.integers(0, 4))))
        elif how == 3 and array.size and array.dtype.kind in "fi":
            array = array.copy()
            odd = (
                (np.nan, np.inf, 1e308, -1.0, 0.0)
                if array.dtype.kind == "f"
                else (-1, 10**9, 2**62)
            )
            array.flat[rng.integers(array.size)] = odd[rng.integers(len(odd))]
        else:
            with np.errstate(invalid="ignore"):
                array = array.astype(("f8", "i8", "b1")[rng.integers(3)])
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, array, allow_pickle=False)
        content = buffer.getvalue()
    return joined({**parts, name: content})


def changed_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    """Return a file with some bytes changed, or its end left out."""
    if rng.integers(4) == 0:
        return content[: rng.integers(len(content))]
    found = bytearray(content)
    for _ in range(int(rng.integers(1, 20))):
        found[rng.integers(len(found))] = int(rng.integers(256))
    return bytes(found)


def use(path: str) -> Any:
    """Load a file and do with it what users do."""
    fit = interlace.load(path)
    new = pd.DataFrame({"x": [0.1, 0.2], "f": ["u", "v"], "g": ["a", "b"]})
    answers = [fit.predict(new), str(fit.summary()), fit.tidy(), fit.vcov(), str(fit.explain())]
    return len(answers)


def refitted(fit: Any) -> Any:
    """Return a refit that does not take long: the data may be any."""
    with interlace.options(max_seconds=1.0):
        return fit.refit(fit.y)


def use_more(path: str) -> Any:
    """Load a file and do with it what takes longer; each may be refused by itself."""
    fit = interlace.load(path)
    new = pd.DataFrame({"x": [0.1, 0.2], "f": ["u", "v"], "g": ["a", "b"]})
    calls: tuple[Callable[[], Any], ...] = (
        lambda: fit.predict(new, interval="prediction", seed=1, n_sim=20),
        lambda: fit.predict(new, type="population"),
        fit.ranef,
        fit.confint,
        fit.r2,
        fit.glance,
        fit.augment,
        fit.term_tests,
        fit.singularity,
        fit.r_code,
        fit._repr_html_,
        lambda: fit.residuals("quantile", seed=1),
        lambda: fit.simulate(1, seed=1),
        lambda: refitted(fit),
        lambda: fit.influence(exact=0),
        lambda: fit.save(f"{path}-again"),
        lambda: (fit.held, fit.variance_components, fit.random_effects),
        lambda: fit.summary(level=0.9, exponentiate=True).to_latex(),
    )
    answers = []
    for call in calls:
        try:
            answers.append(call())
        except PluginError:
            raise
        except InterlaceError as error:
            answers.append(error)
    return len(answers)


def main() -> int:
    """Run the files; return the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--number", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    kept = bases()
    taken = [parts_of(each) for each in kept]
    run.limit_memory(MEMORY)
    rng, wrong, loaded, began = np.random.default_rng(options.seed), [], 0, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "changed.interlace")
        doors = [Door("load", each, {"path": path}) for each in (use, use_more)]
        for number in range(options.number):
            which = rng.integers(len(kept))
            how = rng.integers(10)
            if how < 3:
                content = changed_document(taken[which], rng)
            elif how < 6:
                content = changed_field(taken[which], rng)
            elif how < 9:
                content = changed_array(taken[which], rng)
            else:
                content = changed_bytes(kept[which], rng)
            Path(path).write_bytes(content)
            ending, what = run.ended(doors[number % 2], {"path": path})
            loaded += ending == "answer"
            if ending not in ("answer", "refused"):
                wrong.append(f"{number}: {ending}: {what}")
                print(wrong[-1].encode("ascii", "backslashreplace").decode(), flush=True)
    seconds = time.perf_counter() - began
    print(f"{options.number} files in {seconds:.0f} s: {loaded} loaded, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
