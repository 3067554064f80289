"""The commands that fit a model, or predict by one: `fit`, `lmm`, `clmm`, `predict`."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, get_args

from interlace.choices import (
    DegreesOfFreedom,
    IntervalOf,
    LinearMethod,
    NewLevels,
    OrdinalLink,
    ThresholdStructure,
)
from interlace_core.messages.checks import check_level, require_count
from interlace_core.messages.errors import ConvergenceWarning, InterlaceWarning, OptionError

DOUBTFUL = 3
"""Exit status where a model is fitted and shown, and is not to be trusted as it is."""

Commands = Any
"""What `add_subparsers` returns, whose class has no public name."""

MODEL_OPTIONS = (
    "groups random weights offset optimizer nAGQ approximation starts threads max_seconds verbose "
    "family link dispformula ziformula method df_method correlation threshold nominal scale"
).split()
"""Options of commands that are arguments of the functions, where they are given."""


def add_models(commands: Commands) -> None:
    """Add the commands that fit a model."""
    fit = _model(commands, "fit", "fit a generalised linear mixed model (glmer)", "glmer")
    fit.add_argument("--family", required=True, help="name of an installed family")
    fit.add_argument("--link", help="link of the mean (default: the family's first)")
    fit.add_argument("--dispformula", metavar="FORMULA", help="of the dispersion, such as '~ x'")
    fit.add_argument("--ziformula", metavar="FORMULA", help="of the zero part, such as '~ 1'")
    fit.add_argument("--parameter", action="append", metavar="NAME=FORMULA",
                     help="of another parameter of the family (may be repeated)")  # fmt: skip
    _integral(fit)

    lmm = _model(commands, "lmm", "fit a linear mixed model, by REML (fit)", "fit")
    lmm.add_argument("--method", choices=get_args(LinearMethod), help="(default: REML)")
    lmm.add_argument("--df-method", choices=get_args(DegreesOfFreedom),
                     help="degrees of freedom of t tests (default: satterthwaite)")  # fmt: skip
    lmm.add_argument("--dispformula", metavar="FORMULA", help="of the residual variance")
    lmm.add_argument("--correlation", help="of the residuals, such as 'ar1(time | subject)'")

    clmm = _model(commands, "clmm", "fit a model of ordered categories (clmm)", "clmm")
    clmm.add_argument("--link", choices=get_args(OrdinalLink), help="(default: logit)")
    clmm.add_argument("--threshold", choices=get_args(ThresholdStructure),
                      help="structure of the thresholds (default: flexible)")  # fmt: skip
    clmm.add_argument("--nominal", metavar="FORMULA", help="of effects on the thresholds")
    clmm.add_argument("--scale", metavar="FORMULA", help="of the latent scale")
    _integral(clmm)


def add_predict(commands: Commands) -> None:
    """Add the command that predicts by a saved model."""
    predict = commands.add_parser("predict", help="predict by a model that --save wrote")
    predict.add_argument("model", help="file that --save, or save() in Python, wrote")
    predict.add_argument("data", nargs="?", help=f"{_DATA}; the rows of the fit if left out")
    _reading(predict)
    predict.add_argument("--type", help="response, link, prob, population, ... (see the docs)")
    predict.add_argument("--fixed", action="store_true", help="random effects are 0")
    predict.add_argument("--new-levels", choices=get_args(NewLevels),
                         help="what groups contribute that the fit has not seen")  # fmt: skip
    predict.add_argument("--se", action="store_true", help="add standard errors")
    predict.add_argument("--interval", choices=get_args(IntervalOf))
    predict.add_argument("--level", type=float, default=0.95, help="of intervals (default 0.95)")
    predict.add_argument("--seed", type=int, help="of prediction intervals")
    predict.add_argument("--beside", action="store_true", help="write the data's columns too")
    form = predict.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_const", const="json", dest="form", help="as JSON")
    form.add_argument("--csv", action="store_const", const="csv", dest="form",
                      help="as CSV (the default)")  # fmt: skip
    predict.set_defaults(run=_predict, form="csv")


_DATA = "CSV, Parquet or Arrow file, or - for standard input"


def _model(commands: Commands, name: str, help: str, function: str) -> argparse.ArgumentParser:
    """Add a command with what all models take."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help)
    parser.add_argument("data", help=_DATA)
    parser.add_argument("formula", help="such as 'y ~ x + (1 | g)'")
    parser.add_argument("--groups", action="append", help="grouping column (may be repeated)")
    parser.add_argument("--random", action="append", metavar="TERM",
                        help="random-effects term, '(x | g)' (may be repeated)")  # fmt: skip
    parser.add_argument("--weights", help="column of weights (trials of a proportion)")
    parser.add_argument("--offset", help="column or expression of the offset")
    _reading(parser)
    parser.add_argument("--hold", action="append", metavar="NAME=NUMBER",
                        help="hold a parameter at a value (may be repeated)")  # fmt: skip
    parser.add_argument("--optimizer", help="name of an installed optimizer")
    parser.add_argument("--starts", type=int, help="searches from random starts beside the usual")
    parser.add_argument("--threads", type=int, help="of linear algebra (default: by size)")
    parser.add_argument("--max-seconds", type=float, help="end at the best point by then")
    parser.add_argument("--verbose", action="store_true", default=None, help="show progress")
    parser.add_argument("--level", type=float, help="of intervals")
    parser.add_argument("--digits", type=int, help="behind the point in the summary (default 5)")
    parser.add_argument("--exponentiate", action="store_true", help="odds and rate ratios")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_const", const="json", dest="form",
                      help="write verdict, criteria and estimates as JSON")  # fmt: skip
    form.add_argument("--csv", action="store_const", const="csv", dest="form",
                      help="write the estimates as CSV")  # fmt: skip
    parser.add_argument("--save", metavar="FILE", help="save the fit, for predict and Python")
    parser.add_argument("--without-data", action="store_true",
                        help="leave the data out of what is saved")  # fmt: skip
    parser.set_defaults(run=_fit, form="text", function=function)
    return parser


def _reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--text", action="append", default=[], metavar="COLUMN",
                        help="read this column as categories even if it holds numbers")  # fmt: skip
    parser.add_argument("--sep", default=",", help="between values of CSV; 'tab' (default: ,)")


def _integral(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--nAGQ", type=int, help="quadrature points (default 1: Laplace)")
    parser.add_argument("--approximation", help="name of an installed approximation")


def _fit(options: argparse.Namespace) -> int:
    """Fit a model, save it if asked, write what was asked for; return the exit status."""
    import interlace
    from interlace.commands.answers import write
    from interlace.commands.tables import read_table
    from interlace.reporting.summary import MOST_DIGITS

    who = options.function
    data = read_table(options.data, options.text, options.sep, who)
    given = {name: getattr(options, name, None) for name in MODEL_OPTIONS}
    given = {name: value for name, value in given.items() if value is not None}
    if options.hold:
        given["hold"] = {name: _number(text) for name, text in _pairs(options.hold, "--hold")}
    if getattr(options, "parameter", None):
        given["parameters"] = dict(_pairs(options.parameter, "--parameter"))
    family = [given.pop("family")] if "family" in given else []
    function: Callable[..., Any] = getattr(interlace, who)
    level = None if options.level is None else check_level(options.level, who)
    if options.digits is not None:
        require_count(options.digits, f"{who}: digits", most=MOST_DIGITS)
    with _told() as warned:
        model = function(options.formula, data, *family, **given)
        doubtful = not model.converged or any(each is ConvergenceWarning for each, _ in warned)
        texts = [text for _, text in warned]
        try:
            if options.save is not None:
                model.save(options.save, data=not options.without_data)
        finally:  # a file that cannot be written costs no fit
            write(_shown(model, options, level, texts, doubtful))
    return DOUBTFUL if doubtful else 0


def _shown(
    model: Any, options: argparse.Namespace, level: float | None, warned: list[str], doubtful: bool
) -> str:
    """Return a fit in the form that was asked for."""
    from interlace.commands.answers import as_json, fit_as_json, table_as

    if options.form == "json":
        return as_json(fit_as_json(model, level or 0.95, warned, doubtful))
    if options.form == "csv":
        found = model.tidy(conf_int=True, level=level or 0.95, exponentiate=options.exponentiate)
        return table_as("csv", found)
    digits = 5 if options.digits is None else options.digits
    return f"{model.summary(digits=digits, level=level, exponentiate=options.exponentiate)}\n"


def _predict(options: argparse.Namespace) -> int:
    """Predict by a saved model, and write the predictions; return the exit status."""
    import pandas as pd

    import interlace
    from interlace.commands.answers import table_as, write
    from interlace.commands.tables import read_table
    from interlace.prediction.kinds import in_pandas

    with _told():
        model = in_pandas(interlace.load(options.model))
        data = None
        if options.data is not None:
            data = read_table(options.data, options.text, options.sep, "predict")
        elif options.beside:
            raise OptionError("predict: --beside writes the columns of the data. Give the data.")
        more: dict[str, Any] = {}
        if options.se or options.interval:
            more = {"se": options.se, "interval": options.interval, "level": options.level}
            more |= {} if options.seed is None else {"seed": options.seed}
        more |= {} if options.type is None else {"type": options.type}
        found = model.predict(
            data, include_re=not options.fixed, new_levels=options.new_levels, **more
        )
        table = found.to_frame("fit") if isinstance(found, pd.Series) else found.copy()
        table.columns = pd.Index([_label(each) for each in table.columns])
        if options.beside and data is not None:
            kept = [name for name in data.columns if name not in table.columns]
            table = pd.concat(
                [data[kept].reset_index(drop=True), table.reset_index(drop=True)], axis=1
            )
        write(table_as(options.form, table))
    return 0 if model.converged else DOUBTFUL


def _label(column: Any) -> str:
    """Return a column's name; that of a part of a category's, (category, se), with a point."""
    return ".".join(map(str, column)) if isinstance(column, tuple) else str(column)


def _pairs(given: list[str], option: str) -> Iterator[tuple[str, str]]:
    """Yield names and values of NAME=VALUE."""
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise OptionError(f"{option}: expected NAME=VALUE, got {text!r}.")
        yield name.strip(), value.strip()


def _number(text: str) -> Any:
    """Return a text as a number, or as it is: the name of a coefficient that is to be equal."""
    try:
        return float(text)
    except ValueError:
        return text


@contextmanager
def _told() -> Iterator[list[tuple[type[Warning], str]]]:
    """Write the library's warnings to standard error, a line each; yield the list of them."""
    said: list[tuple[type[Warning], str]] = []
    usual = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if not issubclass(category, InterlaceWarning):
            usual(message, category, *where, **more)
            return
        said.append((category, str(message)))
        if sys.stderr is not None:
            print(f"interlace: warning: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("always", InterlaceWarning)
        warnings.showwarning = show
        yield said
