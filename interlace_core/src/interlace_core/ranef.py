"""Random effects in long form, with conditional standard deviations and intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import ndtri

from interlace_core.inference.confint import check_level

if TYPE_CHECKING:
    from interlace_core.result import GLMMResult


def ranef(result: GLMMResult, level: float) -> pd.DataFrame:
    """Return one row per level and column; see `GLMMResult.ranef`."""
    check_level(level, "ranef")
    half = float(ndtri(0.5 + 0.5 * level))
    frames = [pd.DataFrame(columns=["group", "term", "level", "value", "sd", "lower", "upper"])]
    for group, effects in result.effects.items():
        sd = np.sqrt(np.diagonal(effects.covariance, axis1=1, axis2=2))
        for i, name in enumerate(effects.names):
            value = effects.values[:, i]
            frames.append(
                pd.DataFrame(
                    {
                        "group": group,
                        "term": name,
                        "level": list(effects.levels),
                        "value": value,
                        "sd": sd[:, i],
                        "lower": value - half * sd[:, i],
                        "upper": value + half * sd[:, i],
                    }
                )
            )
    return pd.concat(frames[1:] or frames, ignore_index=True)
