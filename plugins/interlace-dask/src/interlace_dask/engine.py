"""Parts on the workers of a cluster, each kept by one process and asked there."""

from __future__ import annotations

import asyncio
import logging
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from functools import reduce
from operator import add
from typing import Any
from uuid import uuid4

from interlace_core.contract import Engine, NotAvailableError
from interlace_dask.worker import (
    Elsewhere,
    Missing,
    Told,
    answer,
    answer_of_one,
    build,
    combined,
    forget,
)

LOG = logging.getLogger("interlace")

PATIENCE = 1.0
"""Seconds after which one looks whether the workers that are waited for are still there."""

MOST_LOSSES = 20
"""Times that work is given to other workers before a question is given up."""

FAN = 8
"""Answers that are added by one process: of more bundles workers add so many at a time, and send
the sums on, so that this process receives no more than these however many workers there are."""

LOST = object()
"""Stands for the answer of a worker that is gone."""


class DaskParts(Engine):
    """Parts that stay on workers.

    Consecutive parts make a bundle, one for each thread of the workers, and a bundle is asked by
    one task that only its worker may run. Sums are made in the parts' order, of bundles first and
    then of `FAN` of these at a time, so that they are the same wherever bundles are and whichever
    answer comes first. What is lost with a worker is made again by
    another, of the partitions that it was made of.

    Parameters
    ----------
    client : Client
    told : Told
        Makes a part of names and tables.
    sources : sequence of (list of str, list of Delayed)
        Names and tables of each part.
    slow : str
        In words what slows the workers down; empty if nothing does.
    """

    def __init__(
        self,
        client: Any,
        told: Told,
        sources: Sequence[tuple[list[str], list[Any]]],
        slow: str = "",
    ) -> None:
        self.rounds, self.report = 0, None
        self._client, self._told, self._sources, self._slow = client, told, sources, slow
        self._token = uuid4().hex
        self._lock = threading.RLock()
        threads = client.nthreads()
        slots = [worker for worker, number in sorted(threads.items()) for _ in range(number)]
        number = min(len(slots), len(sources))
        edges = [len(sources) * k // number for k in range(number + 1)]
        self._bundles = [list(range(a, b)) for a, b in zip(edges, edges[1:], strict=False)]
        self._homes = [slots[k * len(slots) // number] for k in range(number)]
        release = weakref.finalize(self, _release, client, self._token)
        release.atexit = False
        self._make(dict(enumerate(self._bundles)))

    def words(self) -> str:
        """Return on how many workers the parts are."""
        number = len(set(self._homes))
        where = f"on {number} worker{'s' if number > 1 else ''} of Dask"
        return f"{where}, {self._slow}" if self._slow else where

    def ask(self, question: Any, *given: Any) -> list[Any]:
        """Return the answer of every part, in order."""
        return [each for answers in self._round(question, given, False) for each in answers]

    def total(self, question: Any, *given: Any) -> Any:
        """Return the sum of all answers, of which workers make those of their parts."""
        if len(self._bundles) > FAN:
            return self._summed(question, given)
        return reduce(add, self._round(question, given, True))

    def frame(self, question: Any, like: Any, *given: Any) -> Any:
        """Return the parts' answers as a Dask frame; a part that is lost by then is made again."""
        import dask
        import dask.dataframe

        told, delayed = Told(question, *given), []
        for places, home in zip(self._bundles, self._homes, strict=True):
            for place in places:
                key = self._token, place
                names, tables = self._sources[place]
                own = [_culled(each) for each in tables]
                where = Elsewhere(home, self._told, names, own)
                with dask.annotate(workers=[home], allow_other_workers=True):
                    delayed.append(dask.delayed(answer_of_one, pure=False)(key, told, where))
        return dask.dataframe.from_delayed(delayed, meta=like, verify_meta=False)

    # rounds

    def _round(self, question: Any, given: tuple[Any, ...], summed: bool) -> list[Any]:
        """Return the answers of all bundles, in order."""
        told = Told(question, *given)
        with self._lock:
            self.rounds += 1
            answers: dict[int, Any] = {}
            for _ in range(MOST_LOSSES):
                waiting = [b for b in range(len(self._bundles)) if b not in answers]
                if not waiting:
                    return [answers[b] for b in range(len(self._bundles))]
                found = self._gathered({b: self._asked(b, told, summed) for b in waiting})
                lost = {b: self._bundles[b] for b, each in found.items() if each is LOST}
                missing = {b: e.places for b, e in found.items() if isinstance(e, Missing)}
                answers |= {b: e for b, e in found.items() if b not in lost and b not in missing}
                self._move(lost)
                self._tell_missing(missing)
                self._make(lost | missing)
            raise _given_up()

    def _summed(self, question: Any, given: tuple[Any, ...]) -> Any:
        """Return the sum of all bundles' answers, which workers add and send on."""
        told = Told(question, *given)
        with self._lock:
            self.rounds += 1
            for _ in range(MOST_LOSSES):
                asked = {b: self._asked(b, told, True) for b in range(len(self._bundles))}
                sums = [future for future, _ in asked.values()]
                while len(sums) > FAN:
                    sums = [
                        self._client.submit(
                            combined, *sums[first : first + FAN], pure=False,
                            key=f"interlace-sum-{uuid4().hex}",
                        )
                        for first in range(0, len(sums), FAN)
                    ]  # fmt: skip
                found = self._result(sums, asked)
                if found is LOST:
                    alive = self._client.nthreads()
                    lost = {
                        b: self._bundles[b] for b, (_, home) in asked.items() if home not in alive
                    }
                    self._move(lost)
                    self._make(lost)
                    continue
                total = combined(*found)
                if not isinstance(total, Missing):
                    return total
                missing = {
                    b: [place for place in places if place in total.places]
                    for b, places in enumerate(self._bundles)
                    if not set(places).isdisjoint(total.places)
                }
                self._tell_missing(missing)
                self._make(missing)
            raise _given_up()

    def _asked(self, bundle: int, told: Told, summed: bool) -> tuple[Any, str]:
        """Return the future of a bundle's answer, and the worker that it is asked of."""
        home = self._homes[bundle]
        future = self._client.submit(
            answer, self._token, self._bundles[bundle], told, summed,
            workers=[home], allow_other_workers=False, pure=False,
            key=f"interlace-round-{uuid4().hex}",
        )  # fmt: skip
        return future, home

    def _tell_missing(self, missing: dict[int, list[int]]) -> None:
        for bundle, places in missing.items():
            _tell(self._homes[bundle], "no longer has its parts", places)

    # making parts

    def _make(self, wanted: dict[int, list[int]]) -> None:
        """Make parts, by their bundles, each by the worker of its bundle."""
        left = {place: bundle for bundle, places in wanted.items() for place in places}
        for _ in range(MOST_LOSSES):
            if not left:
                return
            futures = {
                place: (self._making(place, self._homes[bundle]), self._homes[bundle])
                for place, bundle in left.items()
            }
            found = self._gathered(futures)
            lost = sorted({left[place] for place, each in found.items() if each is LOST})
            # what a worker that died had of a bundle is lost with it
            self._move({bundle: self._bundles[bundle] for bundle in lost})
            left = {place: b for b in lost for place in self._bundles[b]}
        if left:
            raise _given_up()

    def _making(self, place: int, home: str) -> Any:
        """Return the future of a part that is being made on a worker.

        What it is made of is read there too, or elsewhere if that worker dies over it.
        """
        names, tables = self._sources[place]
        read = self._client.compute(tables, workers=[home], allow_other_workers=True)
        return self._client.submit(
            build, (self._token, place), self._told, names, *read,
            workers=[home], allow_other_workers=False, pure=False,
            key=f"interlace-part-{uuid4().hex}",
        )  # fmt: skip

    def _move(self, lost: dict[int, list[int]]) -> None:
        """Give bundles whose worker is gone to those that have least."""
        for bundle, places in lost.items():
            threads, before = self._client.nthreads(), self._homes[bundle]
            if not threads:
                self._client.wait_for_workers(1, timeout=60)
                threads = self._client.nthreads()
            load = {each: self._homes.count(each) / max(threads[each], 1) for each in threads}
            self._homes[bundle] = min(sorted(load), key=lambda each: load[each])
            _tell(before, f"is gone ({self._homes[bundle]} takes its place)", places)

    # waiting

    def _gathered(self, futures: dict[int, tuple[Any, str]]) -> dict[int, Any]:
        """Return the results of tasks by name, `LOST` where the worker of one is gone."""
        all_at_once = self._result([each for each, _ in futures.values()], futures)
        if all_at_once is not LOST:
            return dict(zip(futures, all_at_once, strict=True))
        return {
            name: self._result(future, {name: (future, home)})
            for name, (future, home) in futures.items()
        }

    def _result(self, wanted: Any, futures: dict[int, tuple[Any, str]]) -> Any:
        """Return what futures have as soon as they have, `LOST` once a worker of theirs is gone."""
        loop = self._client.loop.asyncio_loop
        coming = asyncio.run_coroutine_threadsafe(_gather(self._client, wanted), loop)
        while True:
            try:
                return coming.result(timeout=PATIENCE)
            except TimeoutError:
                if coming.done():
                    raise
                alive = self._client.nthreads()
                gone = [each for each, home in futures.values() if home not in alive]
                if gone:
                    self._client.cancel(gone)  # what waits for them ends with that


async def _gather(client: Any, wanted: Any) -> Any:
    """Return results; `LOST` if tasks were cancelled with their worker, or killed several."""
    from distributed import KilledWorker

    try:
        return await client.gather(wanted, asynchronous=True)
    except (CancelledError, asyncio.CancelledError, KilledWorker):
        return LOST


def _culled(delayed: Any) -> Any:
    """Return a task with no more of its graph than it needs."""
    from dask.delayed import Delayed

    return Delayed(delayed.key, delayed.dask.cull({delayed.key}).to_dict())


def _tell(worker: str, what: str, places: Sequence[int]) -> None:
    parts = ", ".join(str(place + 1) for place in places)
    LOG.warning("worker %s %s: made again: part(s) %s", worker, what, parts)


def _given_up() -> NotAvailableError:
    return NotAvailableError(
        f"workers of the cluster were lost {MOST_LOSSES} times while they were asked one question. "
        "Look at their logs: they may lack the memory for a part and its temporaries (some hundred "
        "numbers for each row of it). Smaller partitions need less: data.repartition(...)."
    )


def _release(client: Any, token: str) -> None:
    """Let workers forget an engine's parts; called by whatever thread collects garbage."""
    if client.status == "running":
        forgetting: Callable[..., Any] = client.run
        client.loop.add_callback(forgetting, forget, token, on_error="ignore")
