"""The command line: what goes in, what comes out, and which exit status it ends with."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet
import pytest

import interlace
from interlace.cli import main
from reference_fits import load_data

SLEEP = "Reaction ~ Days + (Days | Subject)"
COUNT = "count ~ Days + (1 | Subject)"
WINE = "rating ~ temp + (1 | judge)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with the same data in every format, and fits of them."""
    found = tmp_path_factory.mktemp("data")
    data = interlace.datasets.load("sleepstudy")
    data = data.assign(Subject="s" + data["Subject"].astype(str))
    data["count"] = np.round(data["Reaction"] / 50).astype(int)
    data["slow"] = (data["Days"] > 4).astype(int)  # which Days separates
    data.to_csv(found / "sleep.csv", index=False)
    data.to_csv(found / "sleep.tsv", index=False, sep="\t")
    (found / "sleep.csv.gz").write_bytes(gzip.compress((found / "sleep.csv").read_bytes()))
    table = pa.Table.from_pandas(data, preserve_index=False)
    pyarrow.parquet.write_table(table, found / "sleep.parquet")
    pyarrow.feather.write_feather(table, str(found / "sleep.feather"))
    with pyarrow.ipc.new_stream(str(found / "sleep.arrows"), table.schema) as stream:
        stream.write_table(table)
    load_data("wine").to_csv(found / "wine.csv", index=False)
    (found / "empty.csv").write_text("")
    (found / "book.xlsx").write_bytes(b"PK\x03\x04" + bytes(100))
    (found / "broken.parquet").write_bytes(b"PAR1" + bytes(50) + b"PAR1")
    (found / "ragged.csv").write_text("a,b\n1,2\n1,2,3\n")
    interlace.fit(SLEEP, data).save(found / "lmm.fit")
    interlace.clmm(WINE, load_data("wine")).save(found / "clmm.fit")
    return found


# Arguments ({} is the folder), exit status, what standard output has, what standard error has
TABLE = {
    "lmm": ("lmm {}/sleep.csv", [SLEEP], 0, "REML", ""),
    "lmm by ML": ("lmm {}/sleep.csv --method ML", [SLEEP], 0, "-875.9", ""),
    "fit": ("fit {}/sleep.csv --family poisson", [COUNT], 0, "poisson (mu: log)", ""),
    "link": ("fit {}/sleep.csv --family gaussian --link log", [COUNT], 0, "mu: log", ""),
    "clmm": ("clmm {}/wine.csv --link probit", [WINE], 0, "probit", ""),
    "nominal": ("clmm {}/wine.csv --nominal", ["~ contact", WINE], 0, "contact", ""),
    "Parquet": ("lmm {}/sleep.parquet", [SLEEP], 0, "871.81", ""),
    "Arrow": ("lmm {}/sleep.feather", [SLEEP], 0, "871.81", ""),
    "Arrow stream": ("lmm {}/sleep.arrows", [SLEEP], 0, "871.81", ""),
    "gzip": ("lmm {}/sleep.csv.gz", [SLEEP], 0, "871.81", ""),
    "tab": ("lmm {}/sleep.tsv --sep tab", [SLEEP], 0, "871.81", ""),
    "text": (
        "lmm {}/sleep.csv --text Days", ["Reaction ~ Days + (1 | Subject)"], 0, "Days[T.9", ""
    ),
    "text of Arrow": (
        "lmm {}/sleep.parquet --text count", ["Reaction ~ count + (1 | Subject)"], 0, "count[T.", ""
    ),
    "hold": ("lmm {}/sleep.csv --hold Days=10", [SLEEP], 0, "(fixed)", ""),
    "random": ("lmm {}/sleep.csv --random", ["(1|Subject)", "Reaction ~ Days"], 0, "Subject", ""),
    "groups": ("lmm {}/sleep.csv --groups Subject", ["Reaction ~ Days"], 0, "Subject", ""),
    "ratios": (
        "fit {}/sleep.csv --family poisson --exponentiate --level 0.9", [COUNT], 0, "5%", ""
    ),
    "estimates": ("lmm {}/sleep.csv --csv", [SLEEP], 0, "effect,component,group,term", ""),
    "separated": (
        "fit {}/sleep.csv --family binomial", ["slow ~ Days"], 3, "separates", "interlace: warning:"
    ),
    "stopped": (
        "fit {}/sleep.csv --family poisson --max-seconds 1e-9", [COUNT], 3, "stopped", "warning: "
    ),
    "predict": ("predict {}/lmm.fit {}/sleep.csv", [], 0, "fit\n253.66", ""),
    "in sample": ("predict {}/lmm.fit", [], 0, "fit\n253.66", ""),
    "fixed": ("predict {}/lmm.fit {}/sleep.csv --fixed", [], 0, "fit\n251.405", ""),
    "intervals": (
        "predict {}/lmm.fit {}/sleep.csv --interval confidence", [], 0, "fit,se,lower,upper\n", ""
    ),
    "categories": ("predict {}/clmm.fit {}/wine.csv", [], 0, "1,2,3,4,5\n", ""),
    "class": ("predict {}/clmm.fit {}/wine.csv --type class", [], 0, "fit\n", ""),
    "errors": ("predict {}/clmm.fit {}/wine.csv --se", [], 0, "1.fit,1.se,2.fit", ""),
    "beside": ("predict {}/lmm.fit {}/sleep.csv --beside", [], 0, "Reaction,Days,Subject", ""),
    "predictions as JSON": ("predict {}/lmm.fit {}/sleep.csv --json", [], 0, '"fit": 253.66', ""),
    "plugins": ("plugins", [], 0, "poisson", ""),
    "plugins as JSON": ("plugins --json", [], 0, '"name": "poisson"', ""),
    "plugins as CSV": ("plugins --csv", [], 0, "poisson", ""),
    "config": ("config", [], 0, "optimizer", ""),
    "config as JSON": ("config --json", [], 0, '"key": "optimizer"', ""),
    "version": ("--version", [], 0, "interlace 0.", ""),
    "help": ("--help", [], 0, "predict", ""),
    "no such file": ("lmm {}/nothing.csv", [SLEEP], 1, "", "fit: expected a file of data"),
    "no data": ("lmm {}/empty.csv", [SLEEP], 1, "", "expected a CSV file"),
    "a folder": ("lmm {}", [SLEEP], 1, "", "expected a file of data"),
    "a spreadsheet": ("lmm {}/book.xlsx", [SLEEP], 1, "", "Save it as CSV"),
    "a broken file": ("lmm {}/broken.parquet", [SLEEP], 1, "", "Parquet or Arrow"),
    "ragged lines": ("lmm {}/ragged.csv", ["a ~ b"], 1, "", "expected a CSV file"),
    "no such column": ("lmm {}/sleep.csv", ["Reaction ~ Day"], 1, "", "Did you mean 'Days'"),
    "no such family": (
        "fit {}/sleep.csv --family poison", [COUNT], 1, "", "Did you mean 'poisson'"
    ),
    "no such text": ("lmm {}/sleep.csv --text day", [SLEEP], 1, "", "--text names 'day'"),
    "no such separator": ("lmm {}/sleep.csv --sep ab", [SLEEP], 1, "", "--sep"),
    "no pair": ("lmm {}/sleep.csv --hold Days", [SLEEP], 1, "", "--hold: expected NAME=VALUE"),
    "no level": ("lmm {}/sleep.csv --level 2", [SLEEP], 1, "", "level must lie between 0 and 1"),
    "no seconds": ("lmm {}/sleep.csv --max-seconds -1", [SLEEP], 1, "", "fit: max_seconds"),
    "no model": ("predict {}/sleep.csv {}/sleep.csv", [], 1, "", "load: expected a file"),
    "nothing beside": ("predict {}/lmm.fit --beside", [], 1, "", "--beside"),
    "no type": ("predict {}/lmm.fit {}/sleep.csv --type mood", [], 1, "", "predict: type"),
    "no command": ("", [], 2, "", "usage"),
    "no family": ("fit {}/sleep.csv", [COUNT], 2, "", "--family"),
    "two forms": ("lmm {}/sleep.csv --json --csv", [SLEEP], 2, "", "not allowed with"),
    "no method": ("lmm {}/sleep.csv --method MAP", [SLEEP], 2, "", "invalid choice"),
    "no number": ("fit {}/sleep.csv --family poisson --nAGQ x", [COUNT], 2, "", "invalid int"),
}  # fmt: skip


def run(arguments, capsys):
    """Return the exit status of a command, and what it wrote where."""
    try:
        status = main(arguments)
    except SystemExit as ended:  # argparse's own way
        status = ended.code or 0
    shown = capsys.readouterr()
    return status, shown.out, shown.err


@pytest.mark.parametrize("name", TABLE)
def test_each_command_ends_as_the_table_says(name, folder, capsys):
    line, more, status, out, err = TABLE[name]
    command, *rest = line.replace("{}", str(folder)).split() or [""]
    if rest and more and command in ("fit", "lmm", "clmm"):
        rest = [rest[0], more[-1], *rest[1:], *more[:-1]]
    found = run([each for each in (command, *rest) if each], capsys)
    assert (found[0], out in found[1], err in found[2]) == (status, True, True), found
    assert "Traceback" not in found[2]
    if status == 0 and not err:
        assert found[2] == ""
    if status in (1, 2):
        assert found[1] == ""


def test_json_has_the_verdict_and_the_numbers_of_the_fit(folder, capsys):
    status, out, _ = run(["lmm", str(folder / "sleep.csv"), SLEEP, "--json"], capsys)
    document = json.loads(out)
    fit = interlace.fit(SLEEP, interlace.datasets.load("sleepstudy"))
    assert status == 0 and document["converged"] and not document["doubtful"]
    assert document["logLik"] == pytest.approx(fit.llf, rel=1e-9)
    assert document["groups"] == {"Subject": 18} and document["REML"] is True
    terms = {row["term"]: row for row in document["estimates"]}
    assert terms["Days"]["estimate"] == pytest.approx(fit.fe_params["Days"], rel=1e-9)
    assert terms["Days"]["df"] == pytest.approx(17.0, rel=1e-3)
    assert "df" not in terms["sd__Days"]


def test_json_of_a_doubtful_fit_says_so_and_is_json(folder, capsys):
    arguments = ["fit", str(folder / "sleep.csv"), "slow ~ Days", "--family", "binomial", "--json"]
    status, out, err = run(arguments, capsys)
    document = json.loads(out, parse_constant=pytest.fail)  # no NaN, no Infinity
    assert status == 3 and document["doubtful"] and document["warnings"]
    assert all(f"interlace: warning: {each}" in err for each in document["warnings"])


def test_json_names_the_link_of_ordered_categories(folder, capsys):
    arguments = ["clmm", str(folder / "wine.csv"), WINE, "--link", "cloglog", "--json"]
    document = json.loads(run(arguments, capsys)[1])
    assert document["link"] == "cloglog" and document["links"] == {}
    assert [row["term"] for row in document["estimates"]][:4] == ["1|2", "2|3", "3|4", "4|5"]


def test_csv_keeps_every_digit(folder, capsys):
    out = run(["lmm", str(folder / "sleep.csv"), SLEEP, "--csv"], capsys)[1]
    rows = {row["term"]: row for row in csv.DictReader(io.StringIO(out))}
    fit = interlace.fit(SLEEP, pd.read_csv(folder / "sleep.csv"))
    assert float(rows["Days"]["estimate"]) == fit.fe_params["Days"]


def test_a_saved_fit_predicts_what_it_predicts_in_python(folder, tmp_path, capsys):
    data = pd.read_csv(folder / "sleep.csv")
    for more in ([], ["--without-data"]):
        path = str(tmp_path / "fit")
        source = str(folder / "sleep.parquet")
        arguments = ["fit", source, COUNT, "--family", "poisson", "--save", path, *more]
        assert run(arguments, capsys)[0] == 0
        out = run(["predict", path, str(folder / "sleep.csv")], capsys)[1]
        expected = interlace.glmer(COUNT, data, "poisson").predict(data)
        found = pd.read_csv(io.StringIO(out))["fit"]
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_a_fit_that_cannot_be_saved_is_shown_all_the_same(folder, capsys):
    arguments = ["lmm", str(folder / "sleep.csv"), SLEEP, "--save", str(folder / "no" / "where")]
    status, out, err = run(arguments, capsys)
    assert status == 1 and "871.81" in out and "save" in err


@pytest.mark.parametrize("name", ["sleep.csv", "sleep.parquet", "sleep.arrows"])
def test_data_come_from_standard_input(name, folder, capsys, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO((folder / name).read_bytes()))
    monkeypatch.setattr("sys.stdin", stream)
    assert run(["lmm", "-", SLEEP], capsys)[0] == 0


def test_without_standard_input_it_says_so(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    status, _, err = run(["lmm", "-", SLEEP], capsys)
    assert status == 1 and "standard input" in err


def test_without_pyarrow_it_says_what_to_install(folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    status, _, err = run(["lmm", str(folder / "sleep.parquet"), SLEEP], capsys)
    assert status == 1 and "pip install pyarrow" in err


PROGRAM = [sys.executable, "-m", "interlace"]


def test_python_m_interlace_is_the_command_line_and_pipes_pass_the_data(folder):
    data = (folder / "sleep.csv").read_bytes()
    ended = subprocess.run(
        [*PROGRAM, "lmm", "-", SLEEP, "--csv"], input=data, capture_output=True, check=False
    )
    assert ended.returncode == 0 and ended.stderr == b""
    assert ended.stdout.startswith(b"effect,component,group,term")


@pytest.mark.skipif(os.name == "nt", reason="pipes break in another way there")
@pytest.mark.parametrize("command", ["plugins", "lmm", "predict"])
def test_nobody_who_reads_on_is_no_error(command, folder):
    rest = {"lmm": [str(folder / "sleep.csv"), SLEEP], "predict": [str(folder / "lmm.fit")]}
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run(
        [*PROGRAM, command, *rest.get(command, [])], stdout=write, stderr=subprocess.PIPE,
        check=False,
    )  # fmt: skip
    os.close(write)
    assert ended.returncode == 141 and ended.stderr == b""


def test_the_page_has_every_command_and_exit_status():
    page = (Path(__file__).parents[1] / "docs" / "command-line.md").read_text(encoding="utf-8")
    for word in ("`fit`", "`lmm`", "`clmm`", "`predict`", "`plugins`", "`config`", "`demo`"):
        assert word in page
    for status in (0, 1, 2, 3, 130, 141):
        assert f"| {status} |" in page
