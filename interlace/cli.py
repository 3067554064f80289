"""The command line: `interlace demo | fit | plugins | config | new-family | new-covariance`."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from interlace.beside import overlaid
from interlace_core.messages.errors import DataError, InterlaceError
from interlace_core.messages.names import did_you_mean


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0; 1 after an error in words; 130 after Ctrl-C and 141 where nobody reads on, as shells have it.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names may have letters that a terminal has not
            stream.reconfigure(errors="backslashreplace")
    if mixed := overlaid():  # told here too: the other package may be the one that is imported
        print(f"interlace: {mixed}", file=sys.stderr)
        return 1
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _silence()
        return 141
    except (InterlaceError, OSError) as error:
        print(f"interlace: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _silence() -> None:
    """Send what is still to be written nowhere, so that the end of the program does not fail."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="interlace", description="Generalised linear mixed models by maximum likelihood."
    )
    parser.add_argument("--version", action=_Version, help="show versions, and kernels in use")
    commands = parser.add_subparsers(required=True, metavar="command")

    demo = commands.add_parser("demo", help="fit a real data set and print the summary")
    demo.set_defaults(run=_demo)

    fit = commands.add_parser("fit", help="fit a model to a CSV file and print the summary")
    fit.add_argument("data", help="CSV file with a header line")
    fit.add_argument("formula", help="such as 'y ~ x + (1 | g)'")
    fit.add_argument("--family", required=True, help="name of an installed family")
    fit.add_argument("--link", help="link of the mean (default: the family's first)")
    fit.add_argument("--groups", action="append", help="grouping column (may be repeated)")
    fit.add_argument("--weights", help="column of weights (trials of a proportion)")
    fit.add_argument("--offset", help="column or expression of the offset")
    fit.add_argument("--text", action="append", default=[], metavar="COLUMN",
                     help="read this column as categories even if it holds numbers")  # fmt: skip
    fit.add_argument("--nAGQ", type=int, help="quadrature points (default 1: Laplace)")
    fit.add_argument("--optimizer", help="name of an installed optimizer")
    fit.add_argument("--verbose", action="store_true", default=None)
    fit.set_defaults(run=_fit)

    plugins = commands.add_parser("plugins", help="list what is installed, failures included")
    plugins.set_defaults(run=_plugins)

    config = commands.add_parser("config", help="show each default and where it comes from")
    config.set_defaults(run=_config)

    family = commands.add_parser("new-family", help="write a package with a family of your own")
    family.add_argument("name", help="of the family, such as 'my_family'")
    family.add_argument("--into", type=Path, default=Path(), metavar="FOLDER",
                        help="where its folder is made (default: here)")  # fmt: skip
    family.set_defaults(run=_new_family)

    covariance = commands.add_parser(
        "new-covariance", help="write a package with a covariance structure of your own"
    )
    covariance.add_argument("name", help="of the structure, such as 'my_structure'")
    covariance.add_argument("--into", type=Path, default=Path(), metavar="FOLDER",
                            help="where its folder is made (default: here)")  # fmt: skip
    covariance.set_defaults(run=_new_covariance)
    return parser


class _Version(argparse.Action):
    """Print the version, and which compiled kernels are built here; then end."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        from interlace_core.registry.registry import default_registry

        print(f"interlace {version('interlace')}")
        for each in default_registry().classes("kernel"):
            build = each.cls().build or "not built here: NumPy does all"
            print(f"compiled kernels: {each.distribution} {each.version}, {build}")
        parser.exit()


def _demo(options: argparse.Namespace) -> None:
    import interlace

    cbpp = interlace.datasets.load("cbpp")
    print("Contagious bovine pleuropneumonia in 15 herds; incidence per period (Lesnoff 2004).")
    print("interlace.glmer('incidence / size ~ period', cbpp, 'binomial',")
    print("                groups='herd', weights='size')\n")
    model = interlace.glmer(
        "incidence / size ~ period", cbpp, "binomial", groups="herd", weights="size"
    )
    print(model.summary())


def _fit(options: argparse.Namespace) -> None:
    import interlace

    data = _read_csv(options.data, options.text)
    model = interlace.glmer(
        options.formula,
        data,
        options.family,
        link=options.link,
        groups=options.groups,
        weights=options.weights,
        offset=options.offset,
        nAGQ=options.nAGQ,
        optimizer=options.optimizer,
        verbose=options.verbose,
    )
    print(model.summary())


def _read_csv(path: str, text: Sequence[str]) -> Any:
    """Return the table in a CSV file.

    Raises
    ------
    DataError
        If it is no such file: empty, of another format or encoding, or with ragged lines.
    """
    import warnings

    import pandas as pd

    expected = f"fit: expected a CSV file in UTF-8 with a header line, got {path!r}"
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            data = pd.read_csv(
                path,
                dtype=dict.fromkeys(text, str),
                index_col=False,
                low_memory=False,
                keep_default_na=False,
                na_values=[""],
            )
        except (ValueError, pd.errors.ParserWarning, OverflowError) as error:
            first = next(iter(str(error).splitlines()), "")
            raise DataError(f"{expected}: {first} Save it as such a file.") from error
    strange = [column for column in text if column not in data.columns]
    if strange:
        hint = did_you_mean(strange[0], data.columns)
        raise DataError(f"fit: --text names {strange[0]!r}, which is no column of {path!r}.{hint}")
    for column in data.columns.difference(list(text)):
        if not pd.api.types.is_numeric_dtype(data[column].dtype):
            data[column] = _without_words(data[column])
    return data


MISSING = ("NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "<NA>", "#N/A", ".")
"""Words for what is missing among numbers; among text each of them may be a level."""


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


def _plugins(options: argparse.Namespace) -> None:
    import warnings

    import interlace
    from interlace_core.messages.errors import PluginWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)  # the table says the same, and more
        table = interlace.plugins()
    _print_table([list(table.columns), *table.astype(str).to_numpy().tolist()])


def _config(options: argparse.Namespace) -> None:
    from interlace.config.options import Config
    from interlace.fits import DEFAULTS

    rows = [[row.key, str(row.value), row.origin] for row in Config(DEFAULTS).origins()]
    _print_table([["key", "value", "origin"], *rows])


def _new_family(options: argparse.Namespace) -> None:
    from interlace.new_plugin import FAMILY, write_plugin

    folder = write_plugin(FAMILY, options.name, options.into)
    print(f"Wrote {folder}: a family {options.name!r} with the density of the template.")
    print(f"  pip install -e {folder} pytest   installs it; interlace finds it from then on")
    print(f"  pytest {folder}   holds it against the contract")
    print("Its density is in src/, in family.py: put yours in its place.")


def _new_covariance(options: argparse.Namespace) -> None:
    from interlace.new_plugin import COVARIANCE, write_plugin

    folder = write_plugin(COVARIANCE, options.name, options.into)
    print(f"Wrote {folder}: a structure {options.name!r} with the correlations of the template.")
    print(f"  pip install -e {folder} pytest   installs it; interlace finds it from then on")
    print(f"  pytest {folder}   holds it against the contract")
    print("It is in src/, in structure.py: put yours in its place.")


def _print_table(rows: list[list[str]]) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
