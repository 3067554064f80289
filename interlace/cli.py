"""The command line: `interlace demo | fit | lmm | clmm | predict | plugins | config | new-...`."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from interlace.beside import overlaid
from interlace.commands.models import add_models, add_predict
from interlace_core.messages.errors import InterlaceError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0; 1 after an error in words; 2 where the command cannot be read; 3 where a model was fitted
    and is not to be trusted as it is; as shells have it, 130 after Ctrl-C and 141 where nobody
    reads on.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names may have letters that a terminal has not
            stream.reconfigure(errors="backslashreplace")
    if mixed := overlaid():  # told here too: the other package may be the one that is imported
        print(f"interlace: {mixed}", file=sys.stderr)
        return 1
    options = _parser().parse_args(arguments)
    try:
        status = options.run(options)
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
    return int(status or 0)


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

    add_models(commands)
    add_predict(commands)

    plugins = commands.add_parser("plugins", help="list what is installed, failures included")
    _forms(plugins)
    plugins.set_defaults(run=_plugins)

    config = commands.add_parser("config", help="show each default and where it comes from")
    _forms(config)
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


def _forms(parser: argparse.ArgumentParser) -> None:
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_const", const="json", dest="form", help="as JSON")
    form.add_argument("--csv", action="store_const", const="csv", dest="form", help="as CSV")
    parser.set_defaults(form="text")


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


def _plugins(options: argparse.Namespace) -> None:
    import warnings

    import interlace
    from interlace.commands.answers import table_as, write
    from interlace_core.messages.errors import PluginWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)  # the table says the same, and more
        table = interlace.plugins()
    write(table_as(options.form, table))


def _config(options: argparse.Namespace) -> None:
    import pandas as pd

    from interlace.commands.answers import table_as, write
    from interlace.config.options import Config
    from interlace.fits import DEFAULTS

    rows = [(row.key, str(row.value), row.origin) for row in Config(DEFAULTS).origins()]
    write(table_as(options.form, pd.DataFrame(rows, columns=["key", "value", "origin"])))


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
