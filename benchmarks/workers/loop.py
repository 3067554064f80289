"""A worker's end of the conversation: requests as JSON lines on stdin, answers on stdout."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

Answer = dict[str, Any]


def serve(
    fit: Callable[[pd.DataFrame, dict[str, Any]], Answer], warm: Callable[[], None] | None = None
) -> None:
    """Answer requests until stdin closes; call `warm` before the data is read.

    `{"load": path, "case": {...}}` reads the data; `{"fit": true}` answers with `fit`'s record
    and the seconds that it took. An exception is an answer, `{"error": text}`.
    """
    warnings.simplefilter("ignore")
    # What libraries print must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    data, case = pd.DataFrame(), {}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "load" in request:
                if warm is not None:
                    warm()
                case = request["case"]
                data, answer = read(request["load"], case), {}
            else:
                answer = timed(lambda: fit(data, case))  # noqa: B023
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


def read(path: str, case: dict[str, Any]) -> pd.DataFrame:
    """Return the data frame of a case, factors as Categoricals with the given levels."""
    levels = case["levels"]
    data = pd.read_csv(path, dtype=dict.fromkeys(levels, str), keep_default_na=False)
    for column, names in levels.items():
        data[column] = pd.Categorical(
            data[column], categories=names, ordered=column in case["ordered"]
        )
    return data


def timed(call: Callable[[], Answer]) -> Answer:
    """Return what a call answers, with its wall time and its processor time in seconds."""
    gc.collect()
    began, worked = time.perf_counter(), time.process_time()
    answer = call()
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - worked
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, **answer}


def simulated(
    data: pd.DataFrame, case: dict[str, Any], eta_fixed: np.ndarray, sd: float
) -> Iterator[pd.DataFrame]:
    """Yield the replicates of a parametric bootstrap: binomial, logit, one random intercept.

    `eta_fixed` is X beta, shape (n,); `sd` the standard deviation of b on eta's scale.
    """
    rng = np.random.default_rng(1)
    groups = data[case["random"][0].strip("()").split("|")[1].strip()].cat.codes.to_numpy()
    for _ in range(case["replicates"]):
        eta = eta_fixed + rng.normal(0.0, sd, groups.max() + 1)[groups]
        y = rng.binomial(data[case["trials"]], 1.0 / (1.0 + np.exp(-eta)))
        yield data.assign(**{case["response"]: y})
