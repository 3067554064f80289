"""All rows of a group brought together: a shuffle into Parquet files on one machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from interlace.data.frames import open_table, read_columns
from interlace.parts.aside import Folder, writing
from interlace.parts.look import group_hashes
from interlace.parts.sources import (
    DataInParts,
    Source,
    open_source,
    path_of,
    pyarrow,
    with_codes,
)
from interlace_core.messages.checks import is_whole, names_of, shown
from interlace_core.messages.errors import DataError, OptionError

MOST_FILES = 1000
"""Files written at the same time."""


def shuffle(
    data: Any, *, on: str | Sequence[str], folder: str | os.PathLike[str], files: int | None = None
) -> str:
    """Write data to Parquet files, in each of which all rows of its groups are together.

    Read and written batch by batch. A fit in parts needs the levels of each grouping factor to lie
    in one part; of nested factors shuffle by the coarsest.

    Parameters
    ----------
    data : str, path, pyarrow Dataset, polars LazyFrame or DuckDB relation
        As `data` of a fit in parts, or `in_parts(...)`.
    on : str or list of str
        The columns whose combinations are the groups.
    folder : str or path
        Made if it is not there; may hold no Parquet files.
    files : int, optional
        Number of files; by default one for each 250,000 rows.

    Returns
    -------
    str
        The folder, for the argument `data` of a fit.

    Raises
    ------
    DataError
        If a column is missing, or the folder has Parquet files already.
    """
    asked = data if isinstance(data, DataInParts) else DataInParts(data)
    source = open_source(asked)
    columns = names_of(on, "shuffle: on", "a column")
    missing = [name for name in columns if name not in source.columns]
    if missing or not columns:
        raise DataError(
            f"shuffle: on: expected columns of the data ({', '.join(source.columns)}), got "
            f"{shown(on)}."
        )
    if files is not None and not (is_whole(files, 1) and files <= MOST_FILES):
        raise OptionError(f"shuffle: files must be from 1 to {MOST_FILES}, got {shown(files)}.")
    target = Path(path_of(folder, "shuffle: folder"))
    with writing(target):
        target.mkdir(parents=True, exist_ok=True)
    if any(target.glob("*.parquet")):
        raise DataError(f"shuffle: expected a folder without Parquet files, got {str(target)!r}.")
    given = sum(each.rows for each in source.pieces)
    number = files or max(1, min(MOST_FILES, round(given / asked.rows)))
    write(_tables(source, source.columns), columns, target, number)
    return str(target)


def together(source: Source, names: Sequence[str], on: Sequence[str], asked: DataInParts) -> Any:
    """Return data that come in batches as files in which groups are together, and their folder.

    The folder is deleted with what is returned second.
    """
    folder = Folder(asked.folder)
    write(_tables(source, names), on, folder.path, 64)
    return open_source(DataInParts(str(folder.path), rows=asked.rows)), folder


def _tables(source: Source, names: Sequence[str]) -> Iterator[Any]:
    if source.batches is not None:
        yield from source.batches(names)
    for piece in source.pieces:
        yield piece.read(names)


def write(tables: Iterator[Any], on: Sequence[str], folder: Path, files: int) -> None:
    """Write tables to so many files, each row to that of its group."""
    import pyarrow as pa

    parquet = pyarrow("parquet")
    writers: dict[int, Any] = {}
    schema = None
    try:
        for table in tables:
            if schema is None:
                schema = _plain(table.schema)
            table = table.cast(schema)
            groups = read_columns(open_table(with_codes(table.select(list(on)))), on)
            place = group_hashes(groups, on) % np.uint64(files)
            for k in np.unique(place).tolist():
                with writing(folder):
                    if k not in writers:
                        path = folder / f"part-{k:04d}.parquet"
                        writers[k] = parquet.ParquetWriter(path, schema)
                    writers[k].write_table(table.filter(pa.array(place == k)))
    finally:
        with writing(folder):
            for writer in writers.values():
                writer.close()


def _plain(schema: Any) -> Any:
    """Return a schema with text in place of codes of levels, which differ between batches."""
    import pyarrow as pa

    fields = []
    for field in schema:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        fields.append(pa.field(field.name, pa.string() if _is_text(kind) else kind))
    return pa.schema(fields)


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or getattr(pa.types, "is_string_view", lambda _: False)(kind)
    )
