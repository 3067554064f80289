"""A message calls an argument as the call that was written has it, and begins with that call."""

import pytest

import interlace
from interlace_core.messages.errors import InterlaceError
from odd.calls import data, fits

D = data()
GLMM = ("y ~ x + (1 | g)", D, "poisson")
CALLS = {
    "glmer: max_seconds": lambda: interlace.glmer(*GLMM, max_seconds=-1),
    "glmer: threads": lambda: interlace.glmer(*GLMM, threads=0),
    "fit: starts": lambda: interlace.fit("z ~ x + (1 | g)", D, starts=-1),
    "clmm: nAGQ": lambda: interlace.clmm("r ~ x + (1 | g)", D, nAGQ=-1),
    "power: nAGQ": lambda: interlace.power(
        *GLMM, fixed={"x": 0.1}, sd={"g": 0.1}, test="x", n=1, nAGQ="a"
    ),
    "dispformula": lambda: interlace.glmer("y ~ x", D, "nb2", dispformula="x"),
    "dispformula: expected a parameter": lambda: interlace.glmer(*GLMM, dispformula="~ x"),
    "ziformula": lambda: interlace.glmer(*GLMM, ziformula=3),
    "nominal": lambda: interlace.clmm("r ~ x + (1 | g)", D, nominal=3),
    "scale": lambda: interlace.clmm("r ~ x + (1 | g)", D, scale="x"),
    "parameters['dispersion']": lambda: interlace.glmer(
        "y ~ x", D, "nb2", parameters={"dispersion": "x"}
    ),
    "confint: n_boot": lambda: fits()["glmm"].confint(method="boot", n_boot=0),
    "datasets.load": lambda: interlace.datasets.load("cbbp"),
}


@pytest.mark.parametrize("words", CALLS)
def test_a_message_begins_with_the_argument_as_it_was_written(words):
    with pytest.raises(InterlaceError) as caught:
        CALLS[words]()
    assert str(caught.value).startswith(words), str(caught.value)
