"""The saved layout names every field of the records that it holds."""

from __future__ import annotations

from dataclasses import fields

import pytest

from interlace.config.fit_options import ConfiguredOption
from interlace.data.encoder import Encoder, PredictorEncoder, TermEncoder
from interlace.data.levels import ColumnCode, FactorEncoder
from interlace.results.fit_settings import FitSettings
from interlace.results.random_effects import GroupEffects, TermPlace
from interlace.results.result import GLMMResult
from interlace.saving import designs, schema
from interlace_core.contract.problem import RowReport
from interlace_core.fitting.fitted import Fit
from interlace_core.fitting.verdict import Verdict
from interlace_core.records import OptimizerResult

RECORDS = {
    Encoder: designs.encoder,
    PredictorEncoder: designs.predictor,
    TermEncoder: designs.term,
    FactorEncoder: designs.factor,
    ColumnCode: designs.column_code,
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
    apart = (*schema.WITH_DATA, *schema.LATE)
    kept = [each.name for each in fields(GLMMResult) if each.name not in apart]
    # notes are saved whole, those too that nobody has asked for yet
    assert list(schema.FIELDS) == [*kept, "notes"]
