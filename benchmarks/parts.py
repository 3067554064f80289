"""Data in parts beside the same data in one frame: python benchmarks/parts.py --rows 1e6.

Each fit is a process of its own, with imports and a small fit before the clock starts. Memory is
what is no file (RssAnon, as Linux tells it); coded bytes are those of the arrays of all parts, a
third of which out of core may add to what the process had (`of_allowed` is then at most 1).
`--how dask` fits on a LocalCluster of two workers: processor time of workers and of this process,
rounds, and the bytes of their questions and answers. `--how distinct` counts equal rows by pyarrow,
`--how duckdb` has DuckDB count them.

`--within 4GB` runs each fit in a control group of its own that may take no more memory, page cache
included (cgroups of version 1 or 2 that can be written): what the group held at most, and how often
it met the limit, is printed. `--folder` keeps the data, and reads those that it has; `--log` adds
each line to a file as soon as it is known.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

MODELS = {
    "intercepts": ("y ~ x + (1 | g)", "binomial"),
    "slopes": ("k ~ x + (1 + x | g)", "poisson"),
    "categories": ("y ~ f + (1 | h)", "binomial"),
    "crossed": ("c ~ x + (1 | g) + (1 | h)", "binomial"),
    "crossed linear": ("r ~ x + (1 | g) + (1 | h)", "REML"),
}
ROWS_OF_A_GROUP = 200


def write(folder: Path, rows: int, files: int, columns: set[str]) -> None:
    """Write so many rows to files, in each of which the rows of its groups are together."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, across = np.random.default_rng(0), 0.4 * np.random.default_rng(1).normal(size=1000)
    per = rows // files
    groups = max(per // ROWS_OF_A_GROUP, 2)
    for k in range(files):
        g = rng.integers(0, groups, per)
        effects = 0.5 * rng.normal(size=(2, groups))
        x, f, h = rng.normal(size=per), rng.integers(0, 8, per), rng.integers(0, 1000, per)
        eta = 0.2 + 0.3 * x + effects[0][g] + 0.1 * f
        table = {
            "g": g + k * groups,
            "h": h,
            "f": np.array(list("abcdefgh"))[f],
            "x": x,
            "y": (rng.uniform(size=per) < 1.0 / (1.0 + np.exp(-eta))).astype(np.int64),
            "k": rng.poisson(np.exp(np.clip(0.5 * eta + 0.5 * effects[1][g] * x, None, 5.0))),
            "c": (rng.uniform(size=per) < 1.0 / (1.0 + np.exp(-eta - across[h]))).astype(int),
            "r": eta + across[h] + rng.normal(size=per),
        }
        kept = {name: values for name, values in table.items() if name in columns}
        pd.DataFrame(kept).to_parquet(folder / f"part-{k:04d}.parquet", index=False)


def measure(folder: str, model: str, how: str, memory: str, rows: int) -> dict[str, Any]:
    """Fit in this process; return what it took."""
    import interlace

    if how == "dask":
        return measure_on_workers(folder, model, rows)

    formula, family = MODELS[model]
    small = pd.DataFrame({"g": np.arange(99) % 9, "y": np.arange(99) % 2})
    interlace.glmer("y ~ 1 + (1 | g)", small, "binomial")
    interlace.in_parts(folder)
    import pyarrow.dataset  # noqa: F401

    base, peak, ended = anonymous(), [0.0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            peak[0] = max(peak[0], anonymous())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    wall, cpu = time.perf_counter(), time.process_time()
    fit = fitted(formula, read(folder, how, memory, rows), family)
    took = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
    ended.set()
    watcher.join()
    nobs = fit.rows.n_used
    took |= {"cpu_us_row": 1e6 * took["cpu_s"] / nobs, "base_MB": base, "peak_MB": peak[0]}
    if how == "parts":
        parts = fit.training.problem.parts.engine.parts
        took["coded_MB"] = sum(coded(each) for each in parts) / 2**20
        took["rounds"] = fit.in_parts.rounds
        took["of_allowed"] = (took["peak_MB"] - base) / (took["coded_MB"] / 3.0)
    return took | {"llf": fit.llf, "evaluations": fit.fit.n_evaluations, "data": fit.settings.parts}


def read(folder: str, how: str, memory: str, rows: int) -> Any:
    """Return the data as they are given to a fit."""
    import interlace

    if how == "frame":
        return pd.read_parquet(folder)
    data: Any = folder
    if how == "duckdb":
        import duckdb

        data = duckdb.read_parquet(f"{folder}/*.parquet")
    distinct = how in ("distinct", "duckdb")
    return interlace.in_parts(data, memory=memory or None, rows=rows, distinct=distinct)


MALLOC = {"MALLOC_TRIM_THRESHOLD_": "1000000000", "MALLOC_MMAP_THRESHOLD_": "1000000000"}


def measure_on_workers(folder: str, model: str, rows: int) -> dict[str, Any]:
    """Fit on a cluster of two processes of this machine; return what it took."""
    import dask
    import dask.dataframe
    from dask.distributed import Client, LocalCluster

    import interlace
    from interlace_dask.engine import DaskParts

    formula, family = MODELS[model]
    sent: list[tuple[int, int]] = []
    inner = DaskParts._round

    def counted(self: Any, question: Any, given: Any, summed: bool) -> Any:
        found = inner(self, question, given, summed)
        sent.append((len(pickle.dumps((question, given))), len(pickle.dumps(found))))
        return found

    DaskParts._round = counted  # type: ignore[method-assign]
    dask.config.set({"distributed.nanny.pre-spawn-environ": MALLOC})
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", memory_limit=0
        ) as cluster,
        Client(cluster) as client,
    ):
        small = pd.DataFrame({"g": np.arange(99) % 9, "y": np.arange(99) % 2})
        few = dask.dataframe.from_pandas(small.sort_values("g"), npartitions=1)
        few = interlace.in_parts(few, distinct=False)
        interlace.glmer("y ~ 1 + (1 | g)", few, "binomial")
        sent.clear()
        before = sum(client.run(time.process_time).values())
        wall, cpu = time.perf_counter(), time.process_time()
        data = interlace.in_parts(dask.dataframe.read_parquet(folder), rows=rows, distinct=False)
        fit = fitted(formula, data, family)
        took = {
            "wall_s": time.perf_counter() - wall,
            "cpu_s_here": time.process_time() - cpu,
            "cpu_s_workers": sum(client.run(time.process_time).values()) - before,
        }
        memory = list(client.run(anonymous).values())
    questions, answers = np.array(sent).T
    took |= {
        "rounds": fit.in_parts.rounds,
        "parts": len(fit.in_parts),
        "question_bytes": float(np.median(questions)),
        "answer_bytes_a_bundle": float(np.median(answers)) / 2,
        "workers_MB": max(memory),
    }
    return took | {"llf": fit.llf, "evaluations": fit.fit.n_evaluations, "data": fit.settings.parts}


def fitted(formula: str, data: Any, family: str) -> Any:
    """Return the fit of a model; a linear one where the family is REML."""
    import interlace

    if family == "REML":
        return interlace.fit(formula, data)
    return interlace.glmer(formula, data, family)


def coded(problem: Any) -> float:
    """Return the bytes of a part's arrays."""
    arrays = [problem.y, *(p.X for p in problem.predictors)]
    arrays += [each for term in problem.terms for each in (term.Z, term.codes)]
    return float(sum(each.nbytes for each in arrays if 0 not in each.strides))


def anonymous() -> float:
    """Return the megabytes of the process that are no file's."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return float(line.split()[1]) / 1024
    return float("nan")


class Group:
    """A control group that may take so much memory, removed at the end.

    Parameters
    ----------
    limit : str
        Such as "4GB", of 2**30 bytes each; empty for no group.
    """

    ROOT = Path("/sys/fs/cgroup")

    def __init__(self, limit: str) -> None:
        self.path: Path | None = None
        if not limit:
            return
        first = (self.ROOT / "memory").is_dir()
        self.path = (self.ROOT / "memory" if first else self.ROOT) / f"interlace-{os.getpid()}"
        self.names = V1 if first else V2
        self.path.mkdir()
        (self.path / self.names[0]).write_text(str(int(float(limit.removesuffix("GB")) * 2**30)))

    def joined(self, command: list[str]) -> list[str]:
        """Return a command that runs in it from its first moment."""
        if self.path is None:
            return command
        return ["sh", "-c", f'echo $$ > {self.path}/cgroup.procs; exec "$@"', "sh", *command]

    def told(self) -> dict[str, Any]:
        """Return what it held at most, page cache included, and how often it met its limit."""
        if self.path is None:
            return {}
        _, peak, failed = ((self.path / each).read_text() for each in self.names)
        times = int(failed) if failed.strip().isdigit() else failed.replace("\n", ", ")
        return {"group_peak_MB": float(peak) / 2**20, "limit_met": times}

    def close(self) -> None:
        """Remove it."""
        if self.path is not None:
            self.path.rmdir()


V1 = "memory.limit_in_bytes", "memory.max_usage_in_bytes", "memory.failcnt"
V2 = "memory.max", "memory.peak", "memory.events"


def main() -> None:
    """Write data, fit them in one frame and in parts, and print what each took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=float, default=1e6)
    parser.add_argument("--files", type=int, default=0, help="one for each 250,000 rows by default")
    parser.add_argument("--models", default="intercepts,slopes")
    parser.add_argument("--how", default="frame,parts", help="frame, parts, distinct, duckdb, dask")
    parser.add_argument("--memory", default="", help='for coded parts, such as "100 MB"')
    parser.add_argument("--part-rows", type=int, default=250_000)
    parser.add_argument("--within", default="", help="memory of a control group, such as 4GB")
    parser.add_argument("--folder", default="", help="where the data are kept")
    parser.add_argument("--log", default="", help="a file that lines are added to")
    parser.add_argument("--in-this-process", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.in_this_process:
        print(json.dumps(measure(*given.in_this_process, given.memory, given.part_rows)))
        return
    rows, models = int(given.rows), given.models.split(",")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(given.folder or scratch)
        if not any(folder.glob("*.parquet")):
            named = {name for model in models for name in re.findall(r"\w+", MODELS[model][0])}
            write(folder, rows, given.files or max(rows // 250_000, 1), named)
        for model in models:
            for how in given.how.split(","):
                command = [sys.executable, __file__, "--in-this-process", str(folder), model, how]
                command += ["--memory", given.memory, "--part-rows", str(given.part_rows)]
                report(f"{model}, {how}", command, given)


def report(what: str, command: list[str], given: argparse.Namespace) -> None:
    """Run one fit in a process of its own, and print what it took."""
    group = Group(given.within)
    try:
        done = subprocess.run(group.joined(command), stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout) | group.told()
    finally:
        group.close()
    shown = "  ".join(
        f"{key} {value:.12g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in found.items()
    )
    line = f"{what}: {shown}"
    print(line, flush=True)
    if given.log:
        with Path(given.log).open("a") as log:
            log.write(f"{time.strftime('%F %T')} {given.rows:.0e} rows {line}\n")


if __name__ == "__main__":
    main()
