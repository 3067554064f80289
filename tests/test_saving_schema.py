"""The saved layout names every field of the records that it holds."""

from __future__ import annotations

from dataclasses import fields

import pytest

from interlace.config.fit_options import ConfiguredOption
from interlace.results.fit_settings import FitSettings
from interlace.results.random_effects import GroupEffects, TermPlace
from interlace.results.result import GLMMResult
from interlace.saving import designs, schema
from interlace.saving.allowed import RefusedError, check_expression
from interlace_core.contract.problem import RowReport
from interlace_core.data.encoder import Encoder, PredictorEncoder, TermEncoder
from interlace_core.data.levels import FactorEncoder
from interlace_core.fitting.fitted import Fit
from interlace_core.fitting.verdict import Verdict
from interlace_core.records import OptimizerResult

RECORDS = {
    Encoder: designs.encoder,
    PredictorEncoder: designs.predictor,
    TermEncoder: designs.term,
    FactorEncoder: designs.factor,
    Fit: schema.fit,
    Verdict: schema.verdict,
    OptimizerResult: schema.optimizer_result,
    TermPlace: schema.term_place,
    GroupEffects: schema.group_effects,
    RowReport: schema.row_report,
    FitSettings: schema.settings,
    ConfiguredOption: schema.configured_option,
}


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
def test_codec_covers_every_field(cls):
    assert RECORDS[cls].names == tuple(each.name for each in fields(cls))


def test_codec_of_the_result_covers_every_field():
    kept = [each.name for each in fields(GLMMResult) if each.name not in schema.NOT_SAVED]
    assert list(schema.FIELDS) == kept


@pytest.mark.parametrize(
    "expression",
    [
        "log(x)", "np.log(x)", "I(x ** 2)", "x + 1", "`a b` * 2", "center(x) / np.pi",
        "C(f, Treatment('b'))", "C(f, contr.sum)", "C(f, {'u': [1, 0, -1]})", "bs(x, df=4)",
        "bs(x, knots=[1950, 1960], lower_bound=19000, upper_bound=20000)",
        "np.where(x > 0, 1, 0)", "-x", "~(x > 0)", "(x > 0) & (x < 1)", "2 ** x",
    ],
)  # fmt: skip
def test_expression_of_columns_and_known_functions_is_allowed(expression):
    check_expression(expression, ("x", "f", "a b"))


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("y", "the name 'y'"),
        ("`y z`", "the name"),
        ("where(x)", "the function 'where'"),
        ("x.mean()", "a call of something that is no name"),
        ("np.random.seed(1)", "a call of something that is no name"),
        ("np.load(x)", "np.load"),
        ("scale(x)(x)", "a call of something that is no name"),
        ("log(x, **f)", "a keyword"),
        ("log(*x)", "a starred"),
        ("9 ** 9", "a power of constants"),
        ("x := 1", "cannot be read"),
        ("lambda: x", "a lambda"),
        ("x; f", "cannot be read"),
    ],
)
def test_expression_of_anything_else_is_refused_by_name(expression, named):
    with pytest.raises(RefusedError, match=named):
        check_expression(expression, ("x", "f"))
