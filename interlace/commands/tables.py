"""Tables from files or standard input: CSV, Parquet, Arrow, told apart by what is in them."""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from interlace_core.messages.errors import DataError, FileAccessError, NotAvailableError
from interlace_core.messages.names import did_you_mean

STANDARD_INPUT = "-"

MISSING = ("NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "<NA>", "#N/A", ".")
"""Words for what is missing among numbers; among text each of them may be a level."""

PARQUET, ARROW_FILE, ARROW_STREAM, GZIP, ZIP = (
    b"PAR1",
    b"ARROW1",
    b"\xff\xff\xff\xff",
    b"\x1f\x8b",
    b"PK\x03\x04",
)
"""How files of these formats begin."""

SEPARATORS = {"tab": "\t", "\\t": "\t", "space": " "}


def read_table(path: str, text: Sequence[str], separator: str, who: str) -> Any:
    """Return the table in a file, or on standard input, as pandas.

    Parameters
    ----------
    path : str
        A file of any of the formats; "-" for standard input.
    text : sequence of str
        Columns to be read as categories even if they hold numbers.
    separator : str
        Between the values of a line of CSV; "tab" and "space" are words for these.
    who : str
        The command, for messages.

    Raises
    ------
    DataError
        If it is no such file: empty, of another format or encoding, or with ragged lines.
    FileAccessError
        If it cannot be read.
    NotAvailableError
        If the format needs a package that is not installed.
    """
    content, name = _content(path, who)
    if content.startswith((PARQUET, ARROW_FILE, ARROW_STREAM)):
        data = _from_arrow(content, name, who)
    else:
        data = _from_csv(content, name, text, separator, who)
    strange = [column for column in text if column not in data.columns]
    if strange:
        hint = did_you_mean(strange[0], map(str, data.columns))
        raise DataError(f"{who}: --text names {strange[0]!r}, which is no column of {name}.{hint}")
    for column in text:
        data[column] = data[column].astype(str).where(data[column].notna(), None)
    return data


def _content(path: str, who: str) -> tuple[bytes, str]:
    """Return the bytes of a file or of standard input, and how messages call it."""
    if path == STANDARD_INPUT:
        stream = getattr(sys.stdin, "buffer", None)
        if stream is None:
            raise FileAccessError(f"{who}: expected data on standard input, and there is none.")
        return stream.read(), "standard input"
    try:
        return Path(path).read_bytes(), repr(path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise FileAccessError(
            f"{who}: expected a file of data, got {path[:200]!r}: {why}. Give the path of a CSV, "
            "Parquet or Arrow file, or - for standard input."
        ) from error


def _from_arrow(content: bytes, name: str, who: str) -> Any:
    """Return a table of Parquet or Arrow, whose types stay exact."""
    import pandas as pd

    try:
        import pyarrow as pa
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError as error:
        raise NotAvailableError(
            f"{who}: reading {name}, of Parquet or Arrow, needs the package pyarrow. Run "
            "pip install pyarrow, or save the data as CSV."
        ) from error
    source = pa.BufferReader(content)
    try:
        if content.startswith(PARQUET):
            table = pyarrow.parquet.read_table(source)
        elif content.startswith(ARROW_FILE):
            table = pyarrow.ipc.open_file(source).read_all()
        else:
            table = pyarrow.ipc.open_stream(source).read_all()
        return table.to_pandas(types_mapper=pd.ArrowDtype)
    # Whatever pyarrow says of a damaged file: its errors have no common class.
    except Exception as error:
        raise DataError(
            f"{who}: expected a file of Parquet or Arrow, got {name}, which begins like one: "
            f"{_first_line(error)} Write it again, or save it as CSV."
        ) from error


def _from_csv(content: bytes, name: str, text: Sequence[str], separator: str, who: str) -> Any:
    import pandas as pd

    expected = f"{who}: expected a CSV file in UTF-8 with a header line, got {name}"
    separator = SEPARATORS.get(separator, separator)
    if len(separator) != 1 or not separator.isprintable() and separator != "\t":
        raise DataError(f"{who}: --sep: expected one character, or 'tab', got {separator!r}.")
    if content.startswith(ZIP):
        raise DataError(f"{expected}: it is a spreadsheet or an archive. Save it as CSV.")
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            data = pd.read_csv(
                io.BytesIO(content),
                sep=separator,
                dtype=dict.fromkeys(text, str),
                index_col=False,
                low_memory=False,
                keep_default_na=False,
                na_values=[""],
                compression="gzip" if content.startswith(GZIP) else None,
            )
        # What gzip says of a damaged file is an OSError, an EOFError or zlib's own.
        except Exception as error:
            raise DataError(f"{expected}: {_first_line(error)} Save it as such a file.") from error
    for column in data.columns.difference(list(text)):
        if not pd.api.types.is_numeric_dtype(data[column].dtype):
            data[column] = _without_words(data[column])
    return data


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:300]


def _without_words(column: Any) -> Any:
    """Return a column as numbers or booleans if nothing but words for what is missing is text."""
    import pandas as pd

    words = column.isin(MISSING)
    rest = column.where(~words)
    if not words.any() or rest.isna().all():
        return column
    if rest.dropna().isin(["True", "False", "TRUE", "FALSE", True, False]).all():
        return rest.map(lambda value: str(value).lower() == "true", na_action="ignore")
    try:
        return pd.to_numeric(rest)
    except ValueError:
        found = ", ".join(sorted(set(column[words])))
        print(
            f"interlace: column {column.name!r}: {found} taken as a level, since the column is "
            f"text ({words.sum()} row(s)). Leave the field empty where the value is missing.",
            file=sys.stderr,
        )
        return column
