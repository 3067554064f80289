"""The LaTeX of summaries and of words compiles, where a TeX with booktabs is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

import interlace
from interlace import datasets

TEX = shutil.which("pdflatex")
HEAD = r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage{booktabs,amsmath}"

pytestmark = pytest.mark.skipif(TEX is None, reason="pdflatex is not installed")


def compiles(body: str, folder: Path) -> None:
    (folder / "page.tex").write_text(f"{HEAD}\\begin{{document}}\n{body}\n\\end{{document}}\n")
    done = subprocess.run(
        [str(TEX), "-interaction=nonstopmode", "-halt-on-error", "page.tex"],
        cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
    )  # fmt: skip
    if "not found" in done.stdout:
        pytest.skip("a package of LaTeX is not installed")
    assert done.returncode == 0, done.stdout[-2000:]


def test_linear_model_with_a_caption(tmp_path: Path) -> None:
    model = interlace.fit("Reaction ~ Days + (Days | Subject)", datasets.load("sleepstudy"))
    table = model.summary(level=0.9).to_latex(caption="50% & more_of", label="tab:a")
    assert r"Reaction $\sim$ Days" in table
    latex = model.explain().to_latex()
    assert r"\operatorname{gaussian}(\mu_i, \sigma_i)" in latex
    compiles(table + latex, tmp_path)


def test_names_with_what_means_something_to_latex(tmp_path: Path) -> None:
    odd = {"y~1": [0, 1, 2, 1, 0, 3, 2, 1], "a_b^2 & {50%}": [0.0, 1, 0, 1, 2, 2, 1, 0]}
    data = pd.DataFrame({**odd, "g#": list("aabbccdd")})
    model = interlace.glmer("`y~1` ~ `a_b^2 & {50%}` + (1 | `g#`)", data, "poisson")
    compiles(model.summary().to_latex() + model.explain().to_latex(), tmp_path)


def test_ordinal_model_and_ratios(tmp_path: Path) -> None:
    model = interlace.clmm("rating ~ temp + (1 | judge)", datasets.load("wine"))
    ratios = model.summary(exponentiate=True).to_latex(show=["fixed", "thresholds"])
    compiles(ratios + model.explain().to_latex(), tmp_path)
