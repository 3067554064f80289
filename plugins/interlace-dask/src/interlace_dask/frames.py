"""A Dask DataFrame as data in pieces, one for each partition."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from interlace_core.contract import Frames, NotAvailableError
from interlace_dask.engine import DaskParts
from interlace_dask.malloc import look_at_malloc
from interlace_dask.worker import Told, look, mapped


class DaskFrames(Frames):
    """The partitions of a Dask DataFrame, on the workers of the client in force.

    Parameters
    ----------
    data : dask.dataframe.DataFrame
    client : distributed.Client, or None
        Without one nothing but `mapped` serves.
    """

    name = "dask"

    def __init__(self, data: Any, client: Any) -> None:
        self._data, self._client = data, client
        self.columns = tuple(str(each) for each in data.columns)
        self.pieces = tuple(f"partition {k}" for k in range(data.npartitions))
        self.words = f"a Dask DataFrame of {data.npartitions} partitions"
        self.categories = {
            str(name): bool(kind.ordered)
            for name, kind in data.dtypes.items()
            if hasattr(kind, "categories") and data[name].cat.known
        }
        self.at_once = max(1, sum(client.nthreads().values()))

    @classmethod
    def takes(cls, data: object) -> bool:
        """Return whether data are a Dask DataFrame."""
        kind = getattr(sys.modules.get("dask.dataframe"), "DataFrame", None)
        return kind is not None and isinstance(data, kind)

    @classmethod
    def open(cls, data: Any) -> DaskFrames:
        """Return the partitions.

        Raises
        ------
        NotAvailableError
            If there is no client, or it has no workers.
        """
        return cls(data, client_in_force())

    def ask(
        self,
        question: Any,
        columns: Sequence[str],
        *given: Any,
        pieces: Sequence[int] | None = None,
    ) -> Iterator[Any]:
        """Yield the answer of each partition; all are asked at once, and Dask chooses where."""
        import dask

        tables = self._data[list(columns)].to_delayed()
        told = dask.delayed(Told(question, *given), pure=False, traverse=False)
        places = range(len(tables)) if pieces is None else pieces
        tasks = [dask.delayed(look, pure=False)(self.pieces[k], tables[k], told) for k in places]
        futures = self._client.compute(tasks)
        try:
            for future in futures:
                yield future.result()
        finally:
            self._client.cancel(futures)

    def engine(
        self, make: Any, groups: Sequence[Sequence[int]], columns: Sequence[str], *given: Any
    ) -> DaskParts:
        """Return the engine of parts that stay on workers."""
        slow = look_at_malloc(self._client)
        tables = self._data[list(columns)].to_delayed()
        sources = [([self.pieces[k] for k in each], [tables[k] for k in each]) for each in groups]
        return DaskParts(self._client, Told(make, *given), sources, slow)

    def bring_together(self, on: Sequence[str]) -> str:
        """Return the call that brings the rows of each group into one partition."""
        name = on[0] if len(on) == 1 else list(on)
        return f"data = data.shuffle(on={name!r})."

    def mapped(self, question: Any, like: Any, *given: Any) -> Any:
        """Return the partitions' answers as a Dask frame, nothing of which is computed yet."""
        return self._data.map_partitions(mapped, Told(question, *given), meta=like)


def client_in_force() -> Any:
    """Return the user's client.

    Raises
    ------
    NotAvailableError
        If there is none, or it has no workers.
    """
    from distributed import default_client

    try:
        client = default_client()
    except ValueError as error:
        raise NotAvailableError(
            "data: a Dask DataFrame is fitted on the workers of a Client, and there is none. Make "
            "one first, such as client = dask.distributed.Client() for processes of this machine; "
            "or fit data that memory holds: data=frame.compute()."
        ) from error
    if not client.nthreads():
        raise NotAvailableError(
            f"data: expected a Client with workers, got {client!r}. Start some, or wait for them: "
            "client.wait_for_workers(1)."
        )
    return client
