"""Runs of one case by several engines in turn, each a process that is asked in JSON lines."""

from __future__ import annotations

import json
import os
import select
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cases import Case

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "RAYON_NUM_THREADS",
)


@dataclass(frozen=True)
class Timing:
    """What one engine did on one case.

    Attributes
    ----------
    case, engine : str
    rows : int
    seconds : tuple of float
        Wall times that count: the first fit is a warm-up, left out where others follow.
    cpu_seconds : tuple of float
        Processor times of the same fits, which other work on the machine disturbs less.
    first_cpu_seconds : float or None
        Processor time of the first fit of the process, with all that it loads.
    loglik : float or None
    converged : bool or None
        As the engine says, with finite standard errors.
    peak_bytes, grown_bytes : int or None
        Largest resident memory of the worker in its first fit, and how far that is above what it
        held with the data loaded.
    array_bytes : int or None
        Bytes of the model's arrays, where the worker tells.
    failure : str or None
        Why there is no time: "> 120 s", or the engine's error.
    """

    case: str
    engine: str
    rows: int
    seconds: tuple[float, ...] = ()
    cpu_seconds: tuple[float, ...] = ()
    first_cpu_seconds: float | None = None
    loglik: float | None = None
    converged: bool | None = None
    peak_bytes: int | None = None
    grown_bytes: int | None = None
    array_bytes: int | None = None
    failure: str | None = None

    @property
    def median(self) -> float | None:
        """The median of the seconds that count."""
        return statistics.median(self.seconds) if self.seconds else None


class TimeLimitError(Exception):
    """A worker did not answer in time, and was ended."""


class Worker:
    """A process that fits when asked, and whose memory is watched."""

    def __init__(self, command: Sequence[str], threads: int) -> None:
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))},
        )

    def ask(self, request: Mapping[str, Any], limit: float) -> dict[str, Any]:
        """Return the answer to a request.

        Raises
        ------
        TimeLimitError
            If it takes longer than `limit` seconds.
        RuntimeError
            If the worker reports an error, or dies.
        """
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], limit)
        if not ready:
            self.end()
            raise TimeLimitError(f"> {limit:g} s")
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker died with status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def resident(self, *, peak: bool) -> int | None:
        """Return resident bytes, now or at the peak; None where the system does not tell."""
        label = "VmHWM:" if peak else "VmRSS:"
        try:
            lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        except OSError:
            return None
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(label)), None)

    def forget_peak(self) -> None:
        """Let the peak start from what is resident now (Linux; elsewhere nothing happens)."""
        try:
            Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")
        except OSError:
            pass

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()


class Run:
    """One engine's repeated fits of one case; a failure ends them and is kept."""

    def __init__(self, case: Case, engine: str, rows: int, worker: Worker) -> None:
        self._names = {"case": case.name, "engine": engine, "rows": rows}
        self._worker = worker
        self._seconds: list[float] = []
        self._cpu_seconds: list[float] = []
        self._facts: dict[str, Any] = {}
        self._failure: str | None = None

    def load(self, request: Mapping[str, Any], limit: float) -> None:
        """Have the worker read the data."""
        # Reading is not what is timed: R takes long over a large file.
        self._guarded(request, limit=max(limit, 300.0))

    def wants_more(self, repeats: int, budget: float) -> bool:
        """Return whether another fit is due: not after a failure, nor beyond the budget."""
        enough = len(self._seconds) > repeats or sum(self._seconds) >= budget
        return self._failure is None and not enough

    def fit(self, limit: float) -> None:
        """Fit once; the first time with the memory that it takes."""
        first = not self._seconds
        before = self._worker.resident(peak=False)
        if first:
            self._worker.forget_peak()
        answer = self._guarded({"fit": True}, limit)
        if answer is None:
            return
        if first:
            peak = self._worker.resident(peak=True)
            grown = None if peak is None or before is None else peak - before
            cold = answer["cpu_seconds"]
            self._facts = {"peak_bytes": peak, "grown_bytes": grown, "first_cpu_seconds": cold}
        self._seconds.append(answer.pop("seconds"))
        self._cpu_seconds.append(answer.pop("cpu_seconds"))
        self._facts |= answer

    def timing(self) -> Timing:
        """Return what is known, without the warm-up where there is more."""
        if self._failure is not None:
            return Timing(**self._names, failure=self._failure)
        counted = slice(1, None) if len(self._seconds) > 1 else slice(None)
        seconds, cpu_seconds = self._seconds[counted], self._cpu_seconds[counted]
        return Timing(
            **self._names, seconds=tuple(seconds), cpu_seconds=tuple(cpu_seconds), **self._facts
        )

    def _guarded(self, request: Mapping[str, Any], limit: float) -> dict[str, Any] | None:
        try:
            return self._worker.ask(request, limit)
        except (TimeLimitError, RuntimeError, OSError) as error:
            self._failure = str(error) or type(error).__name__
            return None


def compare(
    case: Case,
    commands: Mapping[str, Sequence[str]],
    *,
    repeats: int,
    limit: float,
    budget: float,
    threads: int = 1,
) -> list[Timing]:
    """Return a timing for each engine; in each round, every engine fits once.

    Parameters
    ----------
    case : Case
    commands : mapping from engine to the command that starts its worker
    repeats : int
        Fits that count, after a warm-up.
    limit : float
        Seconds after which a fit is given up.
    budget : float
        Seconds after which an engine is not asked to fit once more.
    threads : int
        What the usual variables allow every engine.
    """
    data = case.data()
    description = case.description(data)
    with ExitStack() as stack:
        path = stack.enter_context(stored(data))
        request = {"load": path, "case": description}
        runs = []
        for name, command in commands.items():
            worker = Worker(command, threads)
            stack.callback(worker.end)
            runs.append(Run(case, name, len(data), worker))
            runs[-1].load(request, limit)
        while due := [run for run in runs if run.wants_more(repeats, budget)]:
            for run in due:
                run.fit(limit)
        return [run.timing() for run in runs]


@contextmanager
def stored(data: Any) -> Iterator[str]:
    """Write the data where all workers can read it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "data.csv")
        # 17 digits: every engine fits exactly the same numbers.
        data.to_csv(path, index=False, float_format="%.17g", na_rep="NA")
        yield str(path)


def progress(timings: Sequence[Timing]) -> None:
    """Say on standard error what has been measured."""
    for each in timings:
        outcome = each.failure or f"{each.median:.4f} s"
        print(f"{each.case:16} {each.engine:14} {outcome}", file=sys.stderr, flush=True)
