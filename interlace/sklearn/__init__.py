"""Mixed models as scikit-learn estimators, with cross-validation by group.

    from interlace.sklearn import MixedModelClassifier
    from sklearn.model_selection import GroupKFold, cross_val_score

    model = MixedModelClassifier(formula="~ x + (1 | herd)", new_levels="marginal")
    cross_val_score(model, data, data["y"], groups=data["herd"], cv=GroupKFold(5),
                    scoring="neg_log_loss")

Predictions for groups that were not in the fit have random effects of 0, or with
`new_levels="marginal"` are averages over them. So `GroupKFold` measures how well the model does in
new groups, and `KFold` how well in known ones. Install it with `pip install 'interlace[sklearn]'`.
"""

from interlace_core.messages.errors import NotAvailableError

try:
    import sklearn  # noqa: F401
except ModuleNotFoundError as error:
    raise NotAvailableError(
        "interlace.sklearn: scikit-learn is not installed. Run pip install 'interlace[sklearn]'."
    ) from error

from interlace.sklearn.classifiers import (  # noqa: E402
    MixedModelClassifier,
    OrdinalMixedModelClassifier,
)
from interlace.sklearn.regressors import (  # noqa: E402
    LinearMixedModelRegressor,
    MixedModelRegressor,
)

__all__ = [
    "LinearMixedModelRegressor",
    "MixedModelClassifier",
    "MixedModelRegressor",
    "OrdinalMixedModelClassifier",
]
