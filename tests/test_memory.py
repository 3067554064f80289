"""What would not fit into memory is refused before it is tried, with how much it needs."""

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace_core.messages import memory
from interlace_core.messages.errors import OptionError, OutOfMemoryError


@pytest.fixture
def small_machine(monkeypatch):
    """Return a function that leaves so many bytes."""

    def leave(size):
        monkeypatch.setattr(memory, "SMALL", 0.0)
        monkeypatch.setattr(memory, "usable_memory", lambda: float(size))

    return leave


@pytest.fixture(scope="module")
def crossed():
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"a": rng.integers(0, 400, 3000), "b": rng.integers(0, 200, 3000)})
    return data.assign(x=rng.normal(size=3000), y=rng.normal(size=3000))


def test_a_crossed_model_is_refused_where_its_dense_part_does_not_fit(small_machine, crossed):
    small_machine(900_000)  # 200 levels of b: their matrix, its factor and its inverse take 960,000
    with pytest.raises(OutOfMemoryError, match="fit: expected what fits.*400 of a and 200 of b"):
        interlace.fit("y ~ x + (1 | a) + (1 | b)", crossed)
    with pytest.raises(MemoryError):
        interlace.fit("y ~ x + (1 | a) + (1 | b)", crossed)
    assert interlace.fit("y ~ x + (1 | b)", crossed).nobs == 3000


def test_many_draws_are_refused_before_they_are_made(small_machine, crossed):
    fit = interlace.fit("y ~ x + (1 | b)", crossed)
    with pytest.raises(OptionError, match="simulate: n must be at most"):
        fit.simulate(10**30)
    with pytest.raises(OutOfMemoryError, match="simulate: n: .*1000000000 draws"):
        fit.simulate(10**9)
    with pytest.raises(OutOfMemoryError, match="scaled_residuals: n"):
        fit.scaled_residuals(10**9)
    with pytest.raises(OutOfMemoryError, match="pedigree: .*3000 animals"):
        small_machine(10_000_000)
        interlace.pedigree(range(1, 3001), ["0"] * 3000, ["0"] * 3000)


def test_memory_that_runs_out_on_the_way_is_told_in_words(monkeypatch, crossed):
    fit = interlace.fit("y ~ x + (1 | b)", crossed)

    def full(*arguments, **options):
        raise MemoryError("Unable to allocate 18.6 GiB")

    monkeypatch.setattr("interlace.inference.simulation.simulate", full)
    with pytest.raises(OutOfMemoryError, match="simulate: the memory.*18.6 GiB"):
        fit.simulate(3)


def test_the_machine_says_how_much_there_is():
    assert memory.usable_memory() > 1e6


def group(folder, limit, used, cached, names, prefix=""):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(str(limit))
    (folder / names[1]).write_text(str(used))
    told = f"{prefix}active_file {cached}\n{prefix}inactive_file {cached}\nother 5\n"
    (folder / "memory.stat").write_text(told)


FIRST = "memory.limit_in_bytes", "memory.usage_in_bytes"
SECOND = "memory.max", "memory.current"


def test_groups_of_either_version_say_what_they_and_those_above_have_left(tmp_path):
    own = tmp_path / "own"
    first, second = tmp_path / "one", tmp_path / "two"
    group(first / "memory/a/b", 1000, 700, 50, FIRST, "total_")
    group(first / "memory/a", 5000, 4800, 20, FIRST, "total_")
    group(first / "memory", 2**63, 10_000, 0, FIRST, "total_")
    group(first / "cpu/a/b", 1, 1, 0, FIRST)  # says nothing of memory
    own.write_text("7:cpu:/a/b\n4:memory:/a/b\n0::/\n")
    assert memory._of_groups(first, own) == 240.0  # of /a: 5000 - 4800 + 40
    group(second / "a/b", "max", 700, 0, SECOND)
    group(second / "a", 900, 700, 30, SECOND)
    own.write_text("0::/a/b\n")
    assert memory._of_groups(second, own) == 260.0
    # of a container that sees no more than its own group, and that is full; and no group at all
    own.write_text("0::/\n none \n")
    group(second, 900, 950, 0, SECOND)
    assert memory._of_groups(second, own) == 0.0
    assert memory._of_groups(tmp_path / "none", own) is None
    assert memory._of_groups(second, tmp_path / "none") is None


def test_a_machine_without_memory_left_is_not_taken_for_one_that_does_not_tell(monkeypatch):
    for name, left in (("_available", 0.0), ("_of_groups", None), ("_of_limit", None)):
        monkeypatch.setattr(memory, name, lambda left=left: left)
    assert memory.usable_memory() == 0.0
