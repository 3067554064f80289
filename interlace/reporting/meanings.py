"""What exp(coefficient) is called, and what it multiplies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates


@dataclass(frozen=True)
class Meaning:
    """How a link's coefficients read.

    Attributes
    ----------
    ratio : str
        What is multiplied by exp(coefficient); empty where exp() has no such meaning.
    name : str
        What exp(coefficient) is called.
    """

    ratio: str = ""
    name: str = ""


def link_of(result: Estimates, k: int) -> str:
    """Return the name of a predictor's link as users know it: of categories, the latent one."""
    own = result.coefficients[k].parameter.link.name
    return own if k else result.family.latent_link or own


def meaning_of(result: Estimates, k: int) -> Meaning:
    """Return what exp(coefficient) means, by the link and by what the family's response is."""
    parameter, family = result.coefficients[k].parameter, result.family
    words = family.ratio_words(k)
    if words is not None:
        return Meaning(*words)
    counts = family.support.endswith("counts")
    trials = "pair" in family.response_forms
    zero = any(each.parameter.role == "zero" for each in result.coefficients)
    part = " of the part beside the zeros" if zero else ""
    match parameter.link.name:
        case "log" if k:
            return Meaning(parameter.name, "ratio")
        case "log" if counts:
            return Meaning(f"the expected count{part}", "rate ratio")
        case "log" if trials:
            return Meaning(f"the probability{part}", "risk ratio")
        case "log":
            return Meaning(f"the mean{part}", "ratio of means")
        case "logit" if k:
            return Meaning(f"the odds of {parameter.name}", "odds ratio")
        case "logit" if trials:
            return Meaning(f"the odds of success{part}", "odds ratio")
        case "logit":
            return Meaning(f"mean / (1 - mean){part}", "odds ratio of the mean")
        case "cloglog":
            return Meaning("-log(1 - probability), the integrated hazard", "hazard ratio")
    return Meaning()
