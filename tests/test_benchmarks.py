"""The benchmarks' harness, with engines that are made up here; and the cases' data."""

import json
import re
import subprocess
import sys
from pathlib import Path

import beside_peers
import cases
import engines
import import_time
import kept
import numpy as np
import pandas as pd
import pytest
import report
import run
from session import Timing, compare

import interlace

# Answers as a worker does; what it does on "fit" is the argument.
FAKE = """
import json, sys, time
fits = 0
for line in sys.stdin:
    request, answer = json.loads(line), {}
    if "load" in request:
        rows = sum(1 for _ in open(request["load"])) - 1
    else:
        fits += 1
        WHAT
    print(json.dumps(answer), flush=True)
"""
GOOD = (
    'answer = {"seconds": float(fits), "cpu_seconds": fits / 2, '
    '"loglik": -float(rows), "converged": True}'
)
TINY = cases.Case(
    "tiny", "small", lambda: cases.one_factor(40, 4), "y", "x1", ("(1 | g)",), "binomial"
)


def fake(what):
    return [sys.executable, "-c", FAKE.replace("WHAT", what)]


def compare_tiny(commands, **options):
    return compare(TINY, commands, **{"repeats": 3, "limit": 30.0, "budget": 100.0, **options})


def test_a_timing_leaves_the_warm_up_out():
    (timing,) = compare_tiny({"good": fake(GOOD)})
    assert timing.seconds == (2.0, 3.0, 4.0)
    assert timing.cpu_seconds == (1.0, 1.5, 2.0)
    assert (timing.median, timing.loglik, timing.rows) == (3.0, -40.0, 40)


def test_an_engine_beyond_its_budget_is_not_asked_again():
    (timing,) = compare_tiny({"good": fake(GOOD)}, budget=2.5)
    assert timing.seconds == (2.0,)
    (once,) = compare_tiny({"good": fake(GOOD)}, budget=1.0)
    assert once.seconds == (1.0,)


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("time.sleep(60)", "> 0.3 s"),
        ('answer = {"error": "singular"}', "singular"),
        ("sys.exit(3)", "the worker died with status 3"),
    ],
)
def test_an_engine_that_fails_leaves_the_others_alone(what, reason):
    good, bad = compare_tiny({"good": fake(GOOD), "bad": fake(what)}, limit=0.3)
    assert good.seconds == (2.0, 3.0, 4.0)
    assert (bad.failure, bad.median) == (reason, None)


def test_engines_take_turns(tmp_path):
    log = tmp_path / "turns"
    note = f'open({str(log)!r}, "a").write("NAME "); {GOOD}'
    commands = {name: fake(note.replace("NAME", name)) for name in ("a", "b")}
    compare_tiny(commands, repeats=2)
    assert log.read_text().split() == ["a", "b"] * 3


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_that_a_fit_takes_and_frees_is_seen():
    taken = 64 * 2**20
    # Written to, since memory that is only reserved is not resident.
    (timing,) = compare_tiny({"big": fake(f"bytearray(b'x') * {taken}; {GOOD}")}, repeats=1)
    assert 0.9 * taken < timing.grown_bytes < 1.5 * taken


def test_the_table_has_ratios_and_distances_to_the_best():
    timings = [
        Timing("tiny", "ours", 40, (1.0, 3.0, 2.0), (0.5,) * 3, 0.75, -10.0, converged=True),
        Timing("tiny", "lost", 40, (1.0,), (1.0,), loglik=-5.0, converged=False),
        Timing("tiny", "slow", 40, (8.0,), (5.0,), loglik=-10.5, converged=True),
        Timing("tiny", "late", 40, failure="> 9 s"),
    ]
    rows = [
        [cell.strip() for cell in line.split("|")]
        for line in report.table(timings, "ours").splitlines()
    ]
    ours = ["ours", "2.0000", "1.00", "0.5000", "1.00", "0.7500", "-10.0000", "0.0e+00"]
    assert rows[2][3:11] == ours
    assert rows[3][3] == "lost (not converged)"
    slow = ["slow", "8.0000", "4.00", "5.0000", "10.00", "", "-10.5000", "5.0e-01"]
    assert rows[4][3:11] == slow
    assert rows[5][3:5] == ["late", "> 9 s"]


def test_growth_compares_the_sizes_of_a_series(tmp_path):
    timings = [
        Timing("rows_1k", "ours", 1_000, (1.0,), (1.0,)),
        Timing("rows_10k", "ours", 10_000, (7.0,), (7.0,)),
    ]
    text = report.write(tmp_path, timings, baseline="ours", facts={"threads": 1})
    assert "- ours: 1000 to 10000 rows takes 7.0 times as long" in text
    assert json.loads((tmp_path / "results.json").read_text())["timings"][1]["rows"] == 10_000


def test_the_suite_fits_as_the_library_does(tmp_path, capsys):
    options = ["--cases", "cbpp", "--engines", "interlace", "--repeats", "1"]
    run.main([*options, "--output", str(tmp_path)])
    (timing,) = json.loads((tmp_path / "results.json").read_text())["timings"]
    data = interlace.datasets.load("cbpp")
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    assert timing["converged"]
    assert timing["loglik"] == pytest.approx(interlace.glmer(formula, data, "binomial").llf)
    assert "| cbpp | 56 | interlace |" in capsys.readouterr().out


def test_an_unknown_name_is_refused_with_what_there_is():
    with pytest.raises(SystemExit, match=r"no case cbp; there are: .*cbpp"):
        cases.select(["cbp"], [])
    with pytest.raises(SystemExit, match=r"no engine lmer; there are: interlace"):
        engines.select(["lmer"], [])


def test_an_engine_declines_what_it_cannot_do():
    gpboost = next(each for each in engines.PEERS if each.name == "gpboost")
    by_name = {case.name: case for case in cases.CASES}
    assert gpboost.fits(by_name["verbagg"])
    assert not any(gpboost.fits(by_name[name]) for name in ("cbpp", "slopes", "agq25"))


def test_stretch_cases_run_only_when_named():
    assert all(case.size != "stretch" for case in cases.select([], []))
    assert [case.name for case in cases.select(["sparse_stretch"], [])] == ["sparse_stretch"]


def test_data_are_drawn_again_alike():
    pd.testing.assert_frame_equal(cases.one_factor(60, 6), cases.one_factor(60, 6))


def test_nested_groups_are_nested():
    data = cases.nested(400, (4, 20, 100))
    assert data.groupby("leaf", observed=True)["branch"].nunique().eq(1).all()
    assert data.groupby("branch", observed=True)["tree"].nunique().eq(1).all()


def test_crossed_groups_have_the_rows_they_should():
    data = cases.crossed(600, (100, 10), "poisson")
    assert np.all(data["a"].value_counts() == 6)
    assert data["b"].nunique() == 10


def test_the_import_is_compared_with_modules_of_others():
    names = import_time.run(import_time.LIST).split()
    assert {"numpy", "pandas", "scipy"} <= set(names)
    assert not any(name.startswith(("interlace", "json")) for name in names)


def test_import_times_are_multiples_of_the_dependencies(monkeypatch):
    times = {"import": 0.5, "import and first fit": 2.2, "dependencies": 2.0}
    monkeypatch.setattr(import_time, "import_times", lambda repeats: times)
    assert import_time.import_facts(3)["import and first fit"] == "2.200 s (1.10)"


def kept_run(date, cpu, processor="one"):
    facts = {"date": date, "commit": "abc", "processor": processor, "cores": 2, "threads": 1}
    timing = Timing("tiny", "interlace", 40, seconds=(9.0,) * len(cpu), cpu_seconds=cpu)
    return {"facts": facts, "timings": [vars(timing)]}


def test_a_run_is_kept_with_its_machine_and_shown_beside_the_one_before(tmp_path):
    timing = Timing("tiny", "interlace", 40, seconds=(2.0,), cpu_seconds=(1.0, 3.0, 2.0))
    path = kept.keep(tmp_path, [timing], {"cores": 2, "threads": 1})
    (run_,) = kept.read(tmp_path)
    assert path.parent == tmp_path and run_["facts"]["commit"] in path.name
    assert run_["facts"].keys() >= {"date", "processor", "python", "numpy"}
    assert "| tiny | 2000.0 |" in kept.table([run_], "interlace")


def test_times_are_compared_on_one_machine_and_slower_ones_pointed_at():
    runs = [
        kept_run("2024-01-01", (0.010,)),
        kept_run("2024-01-02", (0.030,), "another"),
        kept_run("2024-01-03", (0.011,)),
        kept_run("2024-01-04", (0.014,)),
    ]
    assert "| tiny | 10.0 | 30.0 | 11.0 (1.10) | **14.0 (1.27)** |" in kept.table(runs, "interlace")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory as Linux tells it")
def test_out_of_core_takes_a_third_of_the_coded_bytes_beside_what_there_was():
    command = [
        # what is taken whatever the rows, Arrow's pool and code, is 10 to 25 MB of 76 here
        *(sys.executable, Path(run.__file__).with_name("parts.py"), "--rows", "6e6"),
        *("--files", "100", "--part-rows", "20000", "--memory", "0 B"),
        *("--models", "intercepts", "--how", "parts"),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = re.search(r"of_allowed ([\d.]+)", done.stdout)
    assert "100 of them in files" in done.stdout
    assert float(found[1]) <= 1.0, done.stdout


def test_tables_of_pages_say_what_their_runs_say():
    for page in beside_peers.PAGES:
        text = page.read_text()
        assert beside_peers.MARKED.search(text), f"{page.name} has no table"
        assert beside_peers.written(text) == text, "run python benchmarks/beside_peers.py"


def test_an_engine_counts_where_it_reached_the_highest_optimum():
    def one(engine, milliseconds, loglik, converged=True):
        return Timing("cbpp", engine, 56, (1.0,), (milliseconds / 1e3,), None, loglik, converged)

    timings = [
        one("interlace", 2.0, -92.0),
        one("glmm", 4.0, -92.00001),
        one("mixedlm", 1.0, -92.3),
        one("lme4", 9.0, -90.0, converged=False),
        Timing("cbpp", "glmmTMB", 56, failure="> 180 s"),
    ]
    found = beside_peers.beside(cases.select(["cbpp"], [])[0], timings)
    assert found.counting(frozenset({"glmm", "mixedlm"})) == ["glmm"]
    assert found.missed == ["mixedlm"]
    assert beside_peers.fastest(found, frozenset({"glmm", "mixedlm"})) == "2 (glmm)"
    assert beside_peers.cell(found, "mixedlm") == "0.5; 0.3 lower"
    assert beside_peers.cell(found, "glmmTMB") == "> 180 s"
