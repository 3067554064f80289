"""What other packages call: estimators of scikit-learn, and results for marginaleffects.

What is accepted may be anything: what is refused has to be so in words of this library. X and y are
left out, whose refusals are scikit-learn's own.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from odd.calls import Door, anything, data, fits

OF_FIT = ("groups", "sample_weight")
SHARED = ("formula", "random", "hold", "start", "starts", "optimizer", "priors", "weights",
          "offset", "known", "covariance", "max_seconds", "callback", "include_re",
          "new_levels")  # fmt: skip
OWN = {
    "MixedModelRegressor": ("z", ("family", "link", "nAGQ", "REML", "dispformula", "ziformula")),
    "LinearMixedModelRegressor": ("z", ("method", "df_method")),
    "MixedModelClassifier": ("b", ("nAGQ", "link")),
    "OrdinalMixedModelClassifier": ("r", ("threshold", "link", "nominal", "scale")),
}


def _estimator(name: str, response: str) -> Callable[..., Any]:
    """Return a call that makes an estimator, fits it and predicts."""
    from interlace import sklearn

    d = data().assign(b=lambda d: (d["y"] > 1).map({True: "yes", False: "no"}))
    X, y, cls = d[["x", "f"]], d[response], getattr(sklearn, name)

    def call(**arguments: Any) -> Any:
        given = {key: arguments.pop(key) for key in OF_FIT if key in arguments}
        return cls(**arguments).fit(X, y, **given).predict(X)

    return call


def bridges() -> list[Door]:
    """Return the functions that are called from other packages, where these are installed."""
    found = []
    if find_spec("sklearn"):
        from interlace import sklearn

        groups = data()["g"].to_numpy()
        for name, (response, own) in OWN.items():
            known = getattr(sklearn, name)().get_params()
            tried = [each for each in (*SHARED, *own) if each in known]
            call = _estimator(name, response)
            plain = {"formula": "~ x", "groups": groups}
            legal = dict.fromkeys((*tried, *OF_FIT), anything)
            found.append(Door(f"sklearn.{name}", call, plain, legal))
    if find_spec("marginaleffects"):
        from interlace.marginaleffects import adapt

        for kind in ("glmm", "lmm", "clmm"):
            plain = {"result": fits()[kind], "data": data()}
            legal = dict.fromkeys(("result", "data", "type", "include_re"), anything)
            found.append(Door(f"{kind}.adapt", adapt, plain, legal))
    return found
