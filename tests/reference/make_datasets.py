"""Write the data sets that `interlace.datasets` ships, from the ones in `data/`.

Usage: python tests/reference/make_datasets.py [OUTDIR]     (default: interlace/datasets/data)

Columns that only the reference fits need are left out, whole-numbered columns become integers,
and the gzip header holds no time, so that the same input gives the same bytes.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))
from reference_fits import load_data, load_schema

OUTDIR = Path(__file__).parents[2] / "interlace" / "datasets" / "data"

FROM_LME4 = "the R package lme4 1.1-31 (GPL-2 or later)"
FROM_GLMMTMB = "the R package glmmTMB 1.1.5 (AGPL-3)"
FROM_MASS = "the R package MASS 7.3-58.2 (GPL-2 or GPL-3)"
FROM_METADAT = "the R package metadat (GPL-2 or later), log risk ratios computed from its counts"
FROM_ORDINAL = "the R package ordinal (GPL-2 or later)"

# Per data set: a title, the study to cite, where the copy came from, and columns to leave out.
STUDIES: dict[str, dict[str, Any]] = {
    "Arabidopsis": {
        "title": "Fruits per plant of Arabidopsis thaliana, clipped or not, at two nutrient levels",
        "citation": "Banta JA, Stevens MHH, Pigliucci M (2010). A comprehensive test of the "
        "'limiting resources' framework applied to plant tolerance to apical meristem damage. "
        "Oikos 119(2), 359-369. doi:10.1111/j.1600-0706.2009.17726.x",
        "source": FROM_LME4,
        "note": "gen, rack and nutrient are factors here.",
    },
    "InstEval": {
        "title": "Ratings of lectures by students of ETH Zurich, crossed by student and lecturer",
        "citation": "ETH Zurich, anonymised lecture evaluations, published with lme4: Bates D, "
        "Maechler M, Bolker B, Walker S (2015). Fitting linear mixed-effects models using lme4. "
        "Journal of Statistical Software 67(1), 1-48. doi:10.18637/jss.v067.i01",
        "source": FROM_LME4,
        "note": "studage and lectage are unordered factors here.",
        "leave_out": ["yb"],
    },
    "Owls": {
        "title": "Calls of barn owl nestlings while a parent is away, by food treatment",
        "citation": "Roulin A, Bersier L-F (2007). Nestling barn owls beg more intensely in the "
        "presence of their mother than in the presence of their father. Animal Behaviour 74, "
        "1099-1106. doi:10.1016/j.anbehav.2007.01.027. Data also in Zuur AF, Ieno EN, Walker NJ, "
        "Saveliev AA, Smith GM (2009). Mixed Effects Models and Extensions in Ecology with R. "
        "Springer.",
        "source": FROM_GLMMTMB,
    },
    "Salamanders": {
        "title": "Counts of stream salamanders at sites with and without mountaintop mining",
        "citation": "Price SJ, Muncy BL, Bonner SJ, Drayer AN, Barton CD (2016). Effects of "
        "mountaintop removal mining and valley filling on the occupancy and abundance of stream "
        "salamanders. Journal of Applied Ecology 53, 459-468. doi:10.1111/1365-2664.12585. "
        "Data: Dryad Digital Repository (2015), doi:10.5061/dryad.5m8f6",
        "source": FROM_GLMMTMB,
        "note": "cover, DOP, Wtemp and DOY are standardised; site is an unordered factor here.",
    },
    "VerbAgg": {
        "title": "Answers of 316 persons to 24 questions about verbal aggression",
        "citation": "De Boeck P, Wilson M, editors (2004). Explanatory Item Response Models: "
        "A Generalized Linear and Nonlinear Approach. Springer.",
        "source": FROM_LME4,
    },
    "bacteria": {
        "title": "H. influenzae in children with otitis media, under a drug or a placebo",
        "citation": "Leach A, Menzies School of Health Research, Annual Report 1999-2000, p. 20; "
        "published with Venables WN, Ripley BD (2002). Modern Applied Statistics with S. "
        "4th edition. Springer.",
        "source": FROM_MASS,
        "leave_out": ["yb", "wk2"],
    },
    "cbpp": {
        "title": "New cases of contagious bovine pleuropneumonia in 15 herds over four periods",
        "citation": "Lesnoff M, Laval G, Bonnet P, Abdicho S, Workalemahu A, Kifle D, Peyraud A, "
        "Lancelot R, Thiaucourt F (2004). Within-herd spread of contagious bovine "
        "pleuropneumonia in Ethiopian highlands. Preventive Veterinary Medicine 64(1), 27-40.",
        "source": FROM_LME4,
        "leave_out": ["obs", "prop", "rate"],
    },
    "epil": {
        "title": "Seizures of 59 epileptics in four two-week periods, under progabide or placebo",
        "citation": "Thall PF, Vail SC (1990). Some covariance models for longitudinal count "
        "data with overdispersion. Biometrics 46(3), 657-671.",
        "source": FROM_MASS,
        "note": "subject is a factor here; lbase and lage are centred logarithms.",
        "leave_out": ["period_c", "fw"],
    },
    "grouseticks": {
        "title": "Ticks on the heads of red grouse chicks, by brood, location and year",
        "citation": "Elston DA, Moss R, Boulinier T, Arrowsmith C, Lambin X (2001). Analysis of "
        "aggregation, a worked example: numbers of ticks on red grouse chicks. Parasitology "
        "122(5), 563-569. doi:10.1017/S0031182001007740",
        "source": FROM_LME4,
        "note": "cHEIGHT is HEIGHT (metres) minus its mean.",
    },
    "meta_bcg": {
        "title": "Log risk ratios of 13 trials of the BCG vaccine against tuberculosis",
        "citation": "Colditz GA, Brewer TF, Berkey CS, Wilson ME, Burdick E, Fineberg HV, "
        "Mosteller F (1994). Efficacy of BCG vaccine in the prevention of tuberculosis: "
        "meta-analysis of the published literature. JAMA 271(9), 698-702. "
        "doi:10.1001/jama.1994.03510330076038",
        "source": FROM_METADAT,
        "note": "yi is the log risk ratio, vi its sampling variance, ablat the latitude.",
    },
    "sim_binslope": {
        "title": "Simulated binary responses with a correlated random intercept and slope",
        "citation": "nothing; simulated for this project by tests/reference/make_public.R.",
        "source": "this project (BSD-3-Clause)",
    },
    "sleepstudy": {
        "title": "Reaction times (ms) of 18 persons over ten days of restricted sleep",
        "citation": "Belenky G, Wesensten NJ, Thorne DR, Thomas ML, Sing HC, Redmond DP, "
        "Russo MB, Balkin TJ (2003). Patterns of performance degradation and restoration during "
        "sleep restriction and subsequent recovery: a sleep dose-response study. Journal of "
        "Sleep Research 12(1), 1-12.",
        "source": FROM_LME4,
    },
    "wine": {
        "title": "Bitterness of wine as rated by nine judges, by temperature and contact of skins",
        "citation": "Randall JH (1989). The analysis of sensory data by generalised linear model. "
        "Biometrical Journal 31(7), 781-793. doi:10.1002/bimj.4710310703",
        "source": FROM_ORDINAL,
        "note": "response is a mark from 0 to 100, rating the category it falls in.",
    },
}


def main(outdir: Path) -> None:
    """Write every data set and the index into `outdir`."""
    outdir.mkdir(parents=True, exist_ok=True)
    index = {name: write_one(name, dict(study), outdir) for name, study in STUDIES.items()}
    text = json.dumps(index, indent=1, ensure_ascii=False)
    (outdir / "index.json").write_text(text + "\n", encoding="utf-8")


def write_one(name: str, study: dict[str, Any], outdir: Path) -> dict[str, Any]:
    """Write one gzipped CSV and return its entry of the index."""
    data = load_data(name).drop(columns=study.pop("leave_out", []))
    columns = {}
    for column in data:
        columns[column] = describe_column(data[column], load_schema()[name]["columns"][column])
        if columns[column]["type"] == "integer":
            data[column] = data[column].astype("int64")
    content = data.to_csv(index=False, lineterminator="\n").encode()
    (outdir / f"{name}.csv.gz").write_bytes(gzip.compress(content, compresslevel=9, mtime=0))
    return {**study, "rows": len(data), "columns": columns}


def describe_column(values: pd.Series, spec: dict[str, Any]) -> dict[str, Any]:
    """Return type and levels; levels that are just the numbers in the column are not listed."""
    if spec["type"] not in ("factor", "ordered"):
        return {"type": "integer" if (values % 1 == 0).all() else "float"}
    levels: list[str] = spec["levels"]
    present = set(values.astype(str))
    if all(each.isdecimal() for each in levels) and levels == sorted(present, key=int):
        return {"type": spec["type"], "levels": "numeric"}
    return {"type": spec["type"], "levels": levels}


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else OUTDIR)
