"""The compiled search, differences and linear models against the kit, and twins that fail it."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from interlace_core.contract import Kernels
from interlace_core.testing import ConformanceError, kernel_objective_checks
from interlace_kernels.kernels import CompiledKernels
from interlace_kernels.library import library

built = pytest.mark.skipif(library() is None, reason="no library was built")


@pytest.mark.parametrize("name, check", kernel_objective_checks(CompiledKernels))
def test_conformance(name, check):
    check()


class Unbounded(CompiledKernels):
    def search(self, descent):
        return super().search(replace(descent, longest=100.0 * descent.longest))


class Bottomless(CompiledKernels):
    def search(self, descent):
        return super().search(replace(descent, floor=-np.inf))


class Turned(CompiledKernels):
    def search(self, descent):
        return super().search(replace(descent, B=descent.B.T))


class Miscounts(CompiledKernels):
    def search(self, descent):
        found = super().search(descent)
        return found and replace(found, n_evaluations=found.n_evaluations - found.n_failed)


class Eager(CompiledKernels):
    def search(self, descent):
        rule = replace(descent.rule, max_evaluations=descent.rule.max_evaluations + 1)
        return super().search(replace(descent, rule=rule))


class Forgets(CompiledKernels):
    def search(self, descent):
        return super().search(replace(descent, first=None))


class Rough(CompiledKernels):
    def search(self, descent):
        found = super().search(descent)
        known = None if found is None or found.jacobian is None else 1.001 * found.jacobian
        return found and replace(found, jacobian=known)


class Aside(CompiledKernels):
    """Leaves the function where the last difference was."""

    def search(self, descent):
        found = super().search(descent)
        if found is not None and descent.step:
            self.at_each(descent.function, (descent.origin + descent.B[:, 0])[None])
        return found


class Unasked(CompiledKernels):
    def search(self, descent):
        return super().search(replace(descent, step=0.0))


class Hides(CompiledKernels):
    def at_each(self, function, psi):
        values, gradients, profiled, inner = super().at_each(function, psi)
        return np.nan_to_num(values), gradients, profiled, inner


class Reversed(CompiledKernels):
    def at_each(self, function, psi):
        values, gradients, profiled, inner = super().at_each(function, psi)
        return values, gradients[:, ::-1], profiled, inner


class Scaled(CompiledKernels):
    def search_each(self, *arguments):
        found = super().search_each(*arguments)
        hessians = None if found.hessians is None else 1.001 * found.hessians
        return replace(found, hessians=hessians)


class Behind(CompiledKernels):
    def search_each(self, *arguments):
        found = super().search_each(*arguments)
        return replace(found, values=np.roll(found.values, 1))


class Claims(CompiledKernels):
    def search_each(self, *arguments):
        found = super().search_each(*arguments)
        return replace(found, found=np.ones_like(found.found))


class Deaf(CompiledKernels):
    def linear_objective(self, layout, products, restricted):
        made = super().linear_objective(layout, products, restricted)
        if made is not None:
            object.__setattr__(made, "take_linear", lambda responses: True)
        return made


@dataclass(frozen=True)
class Spoilt(CompiledKernels):
    part: str = "value"

    def linear_objective(self, layout, products, restricted):
        made = super().linear_objective(layout, products, restricted)
        return made and (lambda psi: self.spoil(made(psi)))

    def spoil(self, found):
        if self.part == "value":
            return replace(found, value=found.value + 1e-6)
        if self.part == "gradient":
            return replace(found, gradient=found.gradient * (1.0 + 1e-4))
        return replace(found, profiled=replace(found.profiled, values=found.profiled.values + 1e-6))


class Unweighted(CompiledKernels):
    def products(self, rows):
        return super().products(replace(rows, weights=None))


class Regular(CompiledKernels):
    def products(self, rows):
        factors = tuple((np.sort(codes), L, z) for codes, L, z in rows.factors)
        return super().products(replace(rows, factors=factors))


class Unmoved(CompiledKernels):
    def products(self, rows):
        return super().products(replace(rows, offset=np.zeros(len(rows.y))))


TWINS = [
    (Unweighted(), "sums over rows and levels"),
    (Regular(), "sums over rows and levels"),
    (Unmoved(), "sums over rows and levels"),
    (Turned(), "a search finds the minimum"),
    (Miscounts(), "a search finds the minimum"),
    (Bottomless(), "a search leaves to others what it cannot judge"),
    (Forgets(), "a search begins where it is told"),
    (Unbounded(), "a search keeps to its limits"),
    (Eager(), "a search keeps to its limits"),
    (Rough(), "a search tells the curvature where it ends"),
    (Aside(), "a search tells the curvature where it ends"),
    (Unasked(), "a search tells the curvature where it ends"),
    (Hides(), "points are evaluated one by one"),
    (Reversed(), "points are evaluated one by one"),
    (Scaled(), "searches of many responses are those of each"),
    (Behind(), "searches of many responses are those of each"),
    (Claims(), "searches of many responses are those of each"),
    (Deaf(), "linear models of other responses"),
    (Spoilt(part="value"), "likelihood of linear models"),
    (Spoilt(part="gradient"), "restricted likelihood of linear models"),
    (Spoilt(part="profiled"), "likelihood of linear models"),
]


@built
@pytest.mark.parametrize(("twin", "check"), TWINS, ids=lambda each: getattr(each, "name", each))
def test_a_faulty_twin_fails_the_check_made_for_it(twin, check):
    with pytest.raises(ConformanceError):
        dict(kernel_objective_checks(twin))[check]()


def test_what_is_not_offered_is_not_checked():
    class Bare(Kernels):
        name = "bare"
        build = "anything"

    assert kernel_objective_checks(Bare()) == []
