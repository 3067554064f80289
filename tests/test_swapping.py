"""The same script with another optimizer, options or implementation, by configuration alone."""

import os
from types import SimpleNamespace

import pytest

from interlace.cli import main
from interlace.config.options import Config
from interlace_core.contract.hooks import hookimpl
from interlace_core.messages.errors import AmbiguousNameError
from interlace_core.registry.registry import Registry, default_registry

SCRIPT = """
import interlace
cbpp = interlace.datasets.load("cbpp")
m = interlace.glmer("incidence / size ~ period", cbpp, "binomial", groups="herd", weights="size")
print(m.settings["optimizer"], "|", m.settings["approximation"], "|", round(m.llf, 5))
"""
LAPLACE = "-92.02628"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Return an empty working folder, with no configuration of the user's own."""
    for variable in [each for each in os.environ if each.startswith("INTERLACE")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(here, monkeypatch, capsys):
    """Return a function that runs the script, the same text every time, with extra variables."""

    def call(**variables):
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            exec(compile(SCRIPT, "script.py", "exec"), {})
        return [part.strip() for part in capsys.readouterr().out.split("|")]

    return call


def test_a_file_swaps_the_optimizer_and_its_options(run, here):
    optimizer, approximation, llf = run()
    assert optimizer.startswith("LBFGSB(") and approximation == "laplace" and llf == LAPLACE
    (here / "interlace.toml").write_text(
        'optimizer = "bobyqa"\n[optimizer_options]\nradius_end = 1e-5\n'
    )
    optimizer, _, llf = run()
    assert optimizer.startswith("BOBYQA(") and "radius_end=1e-05" in optimizer
    assert llf == LAPLACE


def test_the_environment_swaps_optimizer_and_approximation(run):
    optimizer, _, llf = run(INTERLACE_OPTIMIZER="bobyqa")
    assert optimizer.startswith("BOBYQA(") and llf == LAPLACE
    optimizer, approximation, llf = run(INTERLACE_APPROXIMATION="agq-vector")
    assert optimizer.startswith("LBFGSB(") and approximation == "agq-vector, 11 points"
    assert llf != LAPLACE


def test_the_environment_is_stronger_than_a_file_and_drops_its_options(run, here):
    (here / "interlace.toml").write_text(
        'optimizer = "bobyqa"\n[optimizer_options]\nradius_end = 1e-5\n'
    )
    optimizer, _, _ = run(INTERLACE_OPTIMIZER="lbfgsb", INTERLACE_OPTIMIZER_OPTIONS__MEMORY="7")
    assert optimizer.startswith("LBFGSB(") and "memory=7" in optimizer


def test_the_config_command_names_every_origin(here, monkeypatch, capsys):
    (here / "pyproject.toml").write_text('[tool.interlace]\noptimizer = "bobyqa"\n')
    monkeypatch.setenv("INTERLACE_NAGQ", "7")
    assert main(["config"]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "bobyqa" in rows["optimizer"] and "pyproject.toml [tool.interlace]" in rows["optimizer"]
    assert " 7 " in rows["nAGQ"] and "environment variable INTERLACE_NAGQ" in rows["nAGQ"]
    assert "built in" in rows["tol_decrement"] and "not set" in rows["verbose"]


def test_a_bad_value_is_refused_with_its_origin(here, capsys):
    (here / "interlace.toml").write_text('nAGQ = "many"\n')
    assert main(["config"]) == 1
    assert "interlace.toml: nAGQ: expected an integer" in capsys.readouterr().err


def test_the_preferred_implementation_of_a_name_is_configured(here):
    """Another class of the same name, registered by hand, is chosen by a file alone."""
    rival = type("Rival", (default_registry().family("poisson"),), {})
    registry = Registry()
    registry.register_plugin(
        SimpleNamespace(interlace_families=hookimpl(lambda: [rival])),
        distribution="rivals",
        name="rival",
    )
    with pytest.raises(AmbiguousNameError, match="rivals:poisson"):
        registry.family("poisson", prefer=Config().resolve("prefer"))
    (here / "interlace.toml").write_text('[prefer]\n"family:poisson" = "rivals"\n')
    assert registry.family("poisson", prefer=Config().resolve("prefer")) is rival
