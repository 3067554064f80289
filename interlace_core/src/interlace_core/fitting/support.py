"""What a model needs of an approximation, checked before the first evaluation."""

from __future__ import annotations

from interlace_core.contracts import Approximation
from interlace_core.errors import UnsupportedModelError
from interlace_core.records import Problem


def check_support(approximation: Approximation, problem: Problem) -> None:
    """Refuse a problem that an approximation cannot serve.

    Raises
    ------
    UnsupportedModelError
        By its own check, or if levels or rows are correlated and it does not say that it takes
        those.
    """
    related = [term for term in problem.terms if term.relation is not None]
    inner = getattr(approximation, "inner", approximation)
    if related and not inner.takes_relations:
        raise UnsupportedModelError(
            f"approximation {inner.name!r} takes groups that are independent of each other; the "
            f"levels of {related[0].group!r} are correlated by a known matrix. Use nAGQ=1."
        )
    if problem.correlation is not None and not inner.takes_correlation:
        raise UnsupportedModelError(
            f"approximation {inner.name!r} takes rows that are independent given the random "
            f"effects; the model has the correlation {problem.correlation.label}. Use fit()."
        )
    approximation.check(problem)
