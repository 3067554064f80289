"""How the terms of a design become columns: which factors are coded in full, and by what contrasts.

A factor of categories that is coded in full has a column for each level, and these add up to the
constant. Where the constant (or the rest of the term) is in the model already, it is coded by
contrasts, one column less. Each term adds only what the terms before it do not span, so that the
columns of a whole formula are independent whatever the data are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np

from interlace.data.levels import level_names
from interlace.formulas.expressions import Node
from interlace.formulas.functions import CATEGORY_ARGUMENTS, CONTRASTS, arguments_of, constant
from interlace.formulas.tokens import formula_error
from interlace_core.records import Array

Part = tuple[tuple[str, bool], ...]
"""A product of factors: the name of each, and whether it is coded by contrasts."""


@dataclass(frozen=True)
class Coding:
    """Columns that a factor of k levels becomes.

    Attributes
    ----------
    names : tuple of str, length c
        As in coefficients, such as `f[T.b]`.
    matrix : ndarray, shape (k, c), or None
        Row j codes level j; None for a column of zeros and ones per level.
    place : int
        Without a matrix, the level that has no column; -1 if all have one.
    """

    names: tuple[str, ...]
    matrix: Array | None = None
    place: int = -1


def parts_of_terms(
    terms: Sequence[Sequence[str]], spans_constant: Callable[[str], bool]
) -> tuple[tuple[Part, ...], ...]:
    """Return the products that each term adds to what the terms before it span.

    Parameters
    ----------
    terms : sequence of sequence of str
        Names of each term's factors; the constant has none.
    spans_constant : callable
        Whether the columns of a factor, coded in full, add up to the constant.
    """
    names = dict.fromkeys(name for term in terms for name in term)
    return _parts_of_terms(
        tuple(map(tuple, terms)), frozenset(name for name in names if spans_constant(name))
    )


@lru_cache(maxsize=256)
def _parts_of_terms(
    terms: tuple[tuple[str, ...], ...], spanning: frozenset[str]
) -> tuple[tuple[Part, ...], ...]:
    """Return the same by the factors whose columns span the constant: formulas come again."""
    spanned: set[frozenset[str]] = set()
    found = []
    for names in terms:
        fixed = [name for name in names if name not in spanning]
        free = [name for name in names if name not in fixed]
        # Coded in full, a factor spans what contrasts span and the constant: all subsets.
        kept = [
            {*fixed, *(name for name, there in zip(free, chosen, strict=True) if there)}
            for chosen in product((True, False), repeat=len(free))
        ]
        new = [each for each in kept if frozenset(each) not in spanned]
        spanned |= {frozenset(each) for each in new}
        free_set = set(free)
        parts = [tuple((n, n in free_set) for n in names if n in each) for each in new]
        found.append(tuple(_joined(sorted(parts, key=len))))
    return tuple(found)


def _joined(parts: Sequence[Part]) -> list[Part]:
    """Return fewer products that span the same: `a + a:f` by contrasts is `a:f` in full."""
    found: list[Part] = []
    for part in parts:
        partner, name = _partner(part, found)
        if partner is None:
            found.append(part)
            continue
        full = tuple((each, reduced and each != name) for each, reduced in part)
        rest = [each for each in found if each != partner]
        found = _joined(sorted([*rest, full], key=len))
    return found


def _partner(part: Part, found: Sequence[Part]) -> tuple[Part | None, str]:
    """Return a product that differs from this one by a single factor coded by contrasts."""
    for other in found:
        more = set(part) - set(other)
        if len(part) - 1 == len(other) and len(more) == 1:
            ((name, reduced),) = more
            if reduced:
                return other, name
    return None, ""


def code_levels(name: str, node: Node, levels: Sequence[Any], reduced: bool) -> Coding:
    """Return the columns that the levels of a factor become.

    Parameters
    ----------
    name : str
        Of the factor.
    node : Node
        The factor as written; `C(f, ...)` may name contrasts.
    levels : sequence
        In order.
    reduced : bool
        Whether it is coded by contrasts.
    """
    given = _contrasts_given(node)
    labels = level_names(levels)
    if not reduced and (given is None or given.kind not in ("list", "tuple", "dict")):
        return Coding(tuple(f"{name}[{each}]" for each in labels))
    if given is None:
        return Coding(tuple(f"{name}[T.{each}]" for each in labels[1:]), place=0)
    return _by_contrasts(name, given, list(levels), labels, reduced)


def _contrasts_given(node: Node) -> Node | None:
    if node.kind != "call" or node.value != "C":
        return None
    return arguments_of(node, CATEGORY_ARGUMENTS, skip=1).get("contrasts")


def _by_contrasts(
    name: str, given: Node, levels: list[Any], labels: tuple[str, ...], reduced: bool
) -> Coding:
    """Return the coding of a contrast of formulaic's, or of a matrix that the user wrote."""
    if reduced and len(levels) == 1:
        return Coding(())
    try:
        contrasts = _made(given, levels, labels)
        names = contrasts.get_coding_column_names(list(labels), reduced_rank=reduced)
        matrix = np.asarray(
            contrasts.get_coding_matrix(list(labels), reduced_rank=reduced), dtype=np.float64
        )
    except (TypeError, ValueError, IndexError) as error:
        raise formula_error(
            given.span,
            f"expected contrasts for the levels {', '.join(labels[:20])} of {name}. {error}",
        ) from error
    shape = contrasts.get_factor_format(list(labels), reduced_rank=reduced)
    if matrix.shape[0] != len(levels):
        raise formula_error(
            given.span,
            f"expected a row of contrasts for each of the {len(levels)} levels of {name}, got "
            f"{matrix.shape[0]}.",
        )
    return Coding(tuple(shape.format(name=name, field=each) for each in names), matrix)


def _made(given: Node, levels: list[Any], labels: tuple[str, ...]) -> Any:
    """Return formulaic's contrasts of what the formula says."""
    from formulaic.transforms import contrasts as known

    if given.kind in ("list", "tuple", "dict"):
        return known.CustomContrasts(constant(given))
    registry = known.ContrastsRegistry
    kinds = {
        "Treatment": registry.treatment, "Sum": registry.sum, "Helmert": registry.helmert,
        "Diff": registry.diff, "Poly": registry.poly,
    }  # fmt: skip
    word = str(given.value)
    kind = kinds[word] if word in kinds else getattr(registry, word.removeprefix("contr."))
    arguments = {}
    if given.kind == "call":
        arguments = {
            key: constant(each) for key, each in arguments_of(given, CONTRASTS[word]).items()
        }
    base = arguments.pop("reference", arguments.pop("base", None))
    if base is not None:
        matching = [j for j, level in enumerate(levels) if level == base or labels[j] == str(base)]
        if not matching:
            raise ValueError(f"The level {base!r} is not among them.")
        arguments["base"] = labels[matching[0]]
    return kind(**arguments)
