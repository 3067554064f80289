"""Coming from R: each call of the page is a stored fit of R, and Python's agrees with it."""

import ast
import json
import math
import re
from pathlib import Path

import pytest

import interlace
from interlace import datasets
from reference_fits import load_data

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "coming-from.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `([^`]+)` \| `([^`]+)` \| (-?[\d.]+) \|$", re.MULTILINE)
ROWS = [tuple(cell.replace(r"\|", "|") for cell in row) for row in ROW.findall(PAGE)]


def bare(call):
    """Return an R call without blanks and without the control of its optimizer."""
    return re.sub(r"\s", "", re.sub(r",\s*control\s*=.*\)$", ")", call.strip(), flags=re.DOTALL))


def stored():
    """Return the highest log-likelihood that R gave for each call, whatever its optimizer."""
    found = {}
    for path in (ROOT / "tests" / "reference" / "fits").glob("*.json"):
        fit = json.loads(path.read_text(encoding="utf-8"))
        if fit["logLik"] is None:
            continue
        call = bare(fit["r_call"])
        found[call] = max(fit["logLik"], found.get(call, -math.inf))
    return found


STORED = stored()


def test_there_are_rows_for_each_package():
    assert {row[0].partition("(")[0] for row in ROWS} == {
        *("lmer", "glmer", "glmmTMB", "ordinal::clmm")
    }
    assert len(ROWS) == len(re.findall(r"\| -?\d+\.\d+ \|$", PAGE, re.MULTILINE))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:60])
def test_the_call_here_has_the_log_likelihood_of_the_call_in_r(row):
    in_r, here, printed = row
    assert float(printed) == pytest.approx(STORED[bare(in_r)], abs=5e-5)
    call = ast.parse(here, mode="eval").body
    frame = call.args[1].id
    data = datasets.load(frame) if frame in datasets.names() else load_data(frame)
    names = {name: getattr(interlace, name) for name in ("fit", "glmer", "clmm")}
    found = eval(here, {**names, frame: data})
    assert found.converged
    assert found.llf == pytest.approx(float(printed), abs=2e-4)
