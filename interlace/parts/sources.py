"""Data that are read piece by piece: Parquet files, pyarrow datasets, lazy frames, relations."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from interlace_core.messages.checks import MOST, is_real, is_whole, require_flag, shown
from interlace_core.messages.errors import DataError, InterlaceError, NotAvailableError, OptionError

ROWS = 250_000
"""Rows of a part: two or three dozen arrays of temporaries are then some 60 MB."""

SHARE_OF_MEMORY = 0.25
"""Of the memory that can be used, what coded parts may take by default."""


@dataclass(frozen=True)
class Piece:
    """Some rows that are read together.

    Attributes
    ----------
    name : str
        For messages, such as "counts/2021.parquet, row group 3".
    rows : int
    read : callable
        From names of columns to a pyarrow Table.
    """

    name: str
    rows: int
    read: Callable[[Sequence[str]], Any]


@dataclass(frozen=True)
class Source:
    """Data in pieces.

    Attributes
    ----------
    words : str
        What they are.
    columns : tuple of str
    pieces : tuple of Piece
        Empty for data that have none of their own and come in batches.
    batches : callable, or None
        From names of columns to an iterator of pyarrow Tables, for such data.
    distinct : callable, or None
        From names of columns and a limit to a pyarrow Table of their distinct combinations with
        their number in the last, `count_name(columns)`, None if there are more: where what holds
        the data can group them itself.
    categories : mapping from str to bool
        Columns that are categories, in the order that they were given, and whether that is one;
        others with levels are text.
    """

    words: str
    columns: tuple[str, ...]
    pieces: tuple[Piece, ...] = ()
    batches: Callable[[Sequence[str]], Iterator[Any]] | None = None
    distinct: Callable[[Sequence[str], int], Any] | None = None
    categories: Mapping[str, bool] = field(default_factory=dict)


def count_name(columns: Sequence[str]) -> str:
    """Return the name of the column with numbers of rows: none of these, in capitals neither."""
    name, taken = "__rows__", {each.lower() for each in columns}
    while name in taken:
        name += "_"
    return name


@dataclass(frozen=True)
class DataInParts:
    """Data that are read part by part, and how; made by `interlace.in_parts`.

    Attributes
    ----------
    data : object
        As `data` of a fit.
    memory : float, or None
        Bytes of coded parts that memory may hold; the others lie in files that are mapped.
    rows : int
        About the rows of a part.
    folder : str, or None
        Where those files go; the system's folder for temporary files if None.
    distinct : bool
        Whether equal rows may be counted where the data are, in place of a fit in parts.
    """

    data: Any
    memory: float | None = None
    rows: int = ROWS
    folder: str | None = None
    distinct: bool = True


def in_parts(
    data: Any,
    *,
    memory: float | str | None = None,
    rows: int = ROWS,
    folder: str | os.PathLike[str] | None = None,
    distinct: bool = True,
) -> DataInParts:
    """Return data for a fit that are read part by part, with limits of your own.

    Parameters
    ----------
    data : str, path, pyarrow Dataset, polars LazyFrame or DuckDB relation
        A folder of Parquet files, a pattern such as `"counts/*.parquet"`, or a file. Or what a
        plugin opens, such as a Dask DataFrame, which has no `memory` and no `folder` here.
    memory : float or str, optional
        Memory for the coded parts, in bytes or as "2 GB"; what is more lies in files that are
        mapped. A quarter of what can be used by default. A fit takes some more, of the order of a
        hundred numbers for each row of one part.
    rows : int
        Rows of a part, about; files with more are read by their row groups.
    folder : str or path, optional
        For files of parts; that of the system's temporary files by default.
    distinct : bool
        Whether rows that are equal in all columns of the model may be counted where the data are,
        and the fit be made of one of each, where few are different.

    Returns
    -------
    DataInParts
        For the argument `data` of `glmer`, `fit` and `clmm`.

    Raises
    ------
    OptionError
        If a limit is none.
    """
    if not is_whole(rows, 1) or rows > MOST:
        raise OptionError(f"in_parts: rows must be a whole number from 1 on, got {shown(rows)}.")
    require_flag(distinct, "in_parts: distinct")
    return DataInParts(
        data,
        None if memory is None else _bytes(memory),
        int(rows),
        None if folder is None else path_of(folder, "in_parts: folder"),
        bool(distinct),
    )


def path_of(folder: Any, who: str) -> str:
    """Return a path as text; raise an OptionError if it is none."""
    path = os.fspath(folder) if isinstance(folder, (str, os.PathLike)) else None
    if not isinstance(path, str) or not path.strip() or "\0" in path:
        raise OptionError(f"{who}: expected a path, got {shown(folder)}.")
    return path


_UNITS = {"b": 1, "kb": 2**10, "mb": 2**20, "gb": 2**30, "tb": 2**40}


def _bytes(memory: Any) -> float:
    """Return a number of bytes, which may be written as "2 GB"."""
    value = memory
    if isinstance(memory, str):
        number = memory.strip().lower().rstrip("bkmgt ")
        unit = memory.strip().lower()[len(number) :].strip()
        try:
            value = float(number) * _UNITS[unit or "b"]
        except (ValueError, KeyError):
            value = None
    if not is_real(value) or not 0.0 <= value < float("inf"):
        raise OptionError(
            f'in_parts: memory must be a number of bytes, such as 2e9 or "2 GB", got '
            f"{shown(memory)}."
        )
    return float(value)


def is_local(data: Any) -> bool:
    """Return whether data are of a library that this process reads part by part."""
    return _opener(data) is not None


def open_source(asked: DataInParts) -> Source:
    """Return data in pieces, of which nothing is read but what is where.

    Raises
    ------
    DataError
        If they are none of the kinds, or there is nothing.
    NotAvailableError
        If pyarrow is not installed.
    """
    data = asked.data
    if isinstance(data, (str, os.PathLike)):
        with _reading(shown(data)):
            return _guarded(_of_dataset(_dataset(data), asked.rows))
    opener = _opener(data)
    if opener is None:
        raise DataError(
            "in_parts: expected a path or pattern of Parquet files, a pyarrow Dataset, a polars "
            f"LazyFrame or a DuckDB relation, got a {type(data).__name__}. Data frames are fitted "
            "as they are: data=frame."
        )
    with _reading(f"the {type(data).__name__}"):
        return _guarded(opener(data, asked.rows))


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """Turn whatever another library raises while it reads into a DataError.

    Its errors have no common class, and a lazy frame or a relation runs what its maker wrote.
    """
    try:
        yield
    except (InterlaceError, MemoryError):
        raise
    except Exception as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(
            f"data: {what} could not be read: {type(error).__name__}: {said[:500]}. Check that it "
            "opens in the library that it is of."
        ) from error


def _guarded(source: Source) -> Source:
    """Return a source whose pieces, batches and groups say what failed where reading does."""

    def piece(each: Piece) -> Piece:
        def read(columns: Sequence[str]) -> Any:
            with _reading(each.name):
                return each.read(columns)

        return replace(each, read=read)

    def batches(columns: Sequence[str]) -> Iterator[Any]:
        assert source.batches is not None
        with _reading(source.words):
            yield from source.batches(columns)

    def distinct(columns: Sequence[str], limit: int) -> Any:
        assert source.distinct is not None
        with _reading(source.words):
            return source.distinct(columns, limit)

    return replace(
        source,
        pieces=tuple(map(piece, source.pieces)),
        batches=source.batches and batches,
        distinct=source.distinct and distinct,
    )


def _opener(data: Any) -> Callable[[Any, int], Source] | None:
    """Return what opens data of another library, which is imported already if they are."""
    for module, name, opener in (
        ("pyarrow.dataset", "Dataset", _of_dataset),
        ("polars", "LazyFrame", _of_lazy_frame),
        ("duckdb", "DuckDBPyRelation", _of_relation),
    ):
        kind = getattr(sys.modules.get(module), name, None)
        if kind is not None and isinstance(data, kind):
            return opener
    return None


def pyarrow(module: str) -> Any:
    """Return a module of pyarrow.

    Raises
    ------
    NotAvailableError
    """
    try:
        return __import__(f"pyarrow.{module}", fromlist=["pyarrow"])
    except ImportError as error:
        raise NotAvailableError(
            "data that are read part by part need pyarrow. Install it: pip install pyarrow."
        ) from error


def _dataset(given: str | os.PathLike[str]) -> Any:
    """Return the Parquet files of a folder or pattern as a dataset of pyarrow."""
    path = os.fspath(given)
    files = [path]
    try:
        if not isinstance(path, str) or not path.strip():
            files = []
        elif any(mark in path for mark in "*?["):
            files = sorted(glob.glob(path, recursive=True))
        elif os.path.isdir(path):
            return pyarrow("dataset").dataset(path, format="parquet", partitioning="hive")
        elif not os.path.isfile(path):
            files = []
    except ValueError:  # no text for a path
        files = []
    if not files:
        raise DataError(
            f"data: expected a data frame, or a folder, file or pattern of Parquet files, got the "
            f"path {shown(path)}, where there is none. Check the path."
        )
    try:
        return pyarrow("dataset").dataset(files, format="parquet")
    except (OSError, ValueError) as error:
        raise DataError(
            f"data: expected Parquet files at {shown(path)}, got others: {error}"
        ) from error


def _of_dataset(dataset: Any, rows: int) -> Source:
    pieces: list[Piece] = []
    for fragment in dataset.get_fragments():
        name = str(getattr(fragment, "path", None) or f"fragment {len(pieces)}")
        count = fragment.count_rows()
        if count > rows and getattr(fragment, "num_row_groups", 1) > 1:
            for number, each in enumerate(fragment.split_by_row_group()):
                inside = f"{name}, row group {number}"
                pieces.append(_piece(dataset, each, inside, each.count_rows()))
        elif count:
            pieces.append(_piece(dataset, fragment, name, count))
    if not pieces:
        raise DataError("data: expected at least one row, got files without any.")
    import pyarrow as pa

    categories = {f.name: f.type.ordered for f in dataset.schema if pa.types.is_dictionary(f.type)}
    words = f"{len(pieces)} pieces of Parquet"
    return Source(words, tuple(dataset.schema.names), tuple(pieces), categories=categories)


def _piece(dataset: Any, fragment: Any, name: str, rows: int) -> Piece:
    keys = pyarrow("dataset").get_partition_keys(fragment.partition_expression)
    known = {*fragment.physical_schema.names, *keys}

    def read(columns: Sequence[str]) -> Any:
        lost = [column for column in columns if column not in known]
        if lost:
            raise DataError(
                f"{name}: expected the columns of the other files, got none of the name(s) "
                f"{', '.join(map(repr, lost))}. Correct the file, or leave it out."
            )
        return with_codes(fragment.to_table(schema=dataset.schema, columns=list(columns)))

    return Piece(name, rows, read)


def with_codes(table: Any) -> Any:
    """Return a pyarrow Table whose columns of text are codes of levels, which is quick to read."""
    import pyarrow as pa

    for place, column in enumerate(table.schema):
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            coded = table.column(place).cast(pa.string()).dictionary_encode()
            table = table.set_column(place, column.name, coded)
    return table.unify_dictionaries().combine_chunks()


def _of_lazy_frame(frame: Any, rows: int) -> Source:
    import polars as pl

    def exactly(columns: Sequence[str]) -> list[Any]:
        """Names as they are: a text such as "*" or "^a$" would be a pattern."""
        return [pl.selectors.by_name(name) for name in columns]

    def batches(columns: Sequence[str]) -> Iterator[Any]:
        for batch in frame.select(exactly(columns)).collect_batches(chunk_size=rows):
            yield batch.to_arrow()

    def distinct(columns: Sequence[str], limit: int) -> Any:
        groups = frame.group_by(exactly(columns)).agg(pl.len().alias(count_name(columns)))
        found = groups.head(limit + 1).collect(engine="streaming")
        return None if len(found) > limit else found.to_arrow()

    columns = tuple(frame.collect_schema().names())
    # text, as in a frame: the order of a Categorical is that in which the process met its values
    frame = frame.with_columns(pl.selectors.categorical().cast(pl.String))
    return Source("a polars LazyFrame", columns, batches=batches, distinct=distinct)


def _of_relation(relation: Any, rows: int) -> Source:
    def quoted(columns: Sequence[str]) -> str:
        return ", ".join('"' + name.replace('"', '""') + '"' for name in columns)

    def batches(columns: Sequence[str]) -> Iterator[Any]:
        import pyarrow as pa

        chosen = relation.project(quoted(columns))
        reader = getattr(chosen, "to_arrow_reader", None) or chosen.fetch_arrow_reader
        for batch in reader(rows):
            yield pa.Table.from_batches([batch])

    def distinct(columns: Sequence[str], limit: int) -> Any:
        names = quoted(columns)
        number = quoted([count_name(columns)])
        groups = relation.aggregate(f"{names}, count(*) as {number}", names)
        first = groups.limit(limit + 1)
        found = (getattr(first, "to_arrow_table", None) or first.fetch_arrow_table)()
        return None if found.num_rows > limit else found

    return Source("a DuckDB relation", tuple(relation.columns), batches=batches, distinct=distinct)
