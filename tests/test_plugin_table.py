"""The table of what is installed, with what each class can do."""

from types import SimpleNamespace

import pytest

import interlace
from interlace.plugin_table import plugin_table
from interlace_approximations.agq import AdaptiveGaussHermite
from interlace_core.contract import Family, hookimpl
from interlace_core.messages.errors import PluginWarning
from interlace_core.registry.registry import Registry
from interlace_families.poisson import PoissonFamily
from interlace_scipy.lbfgsb import LBFGSB


def offering(**hooks):
    """Return a plugin whose hooks return the classes given."""
    made = {
        f"interlace_{kind}": hookimpl(lambda found=found: found) for kind, found in hooks.items()
    }
    return SimpleNamespace(**made)


class Bare(PoissonFamily):
    name = "bare"
    contract_version = 99


@pytest.fixture
def registry():
    registry = Registry([])
    plugin = offering(
        families=[PoissonFamily], optimizers=[LBFGSB], approximations=[AdaptiveGaussHermite]
    )
    registry.register_plugin(plugin, distribution="one", name="first")
    return registry


def test_tells_what_classes_can_do(registry):
    cells = plugin_table(registry).set_index("name")["capabilities"]
    assert cells["poisson"] == (
        "parameters mu; response numeric; links log, identity, sqrt; "
        "offers variance, simulate, cdf, derivatives"
    )
    assert cells["lbfgsb"] == "uses the gradient; keeps bounds"
    assert cells["agq"] == "nAGQ 2 to 100"


def test_shows_how_to_write_a_name_that_two_distributions_provide(registry):
    class Other(PoissonFamily):
        name = "poisson"

    registry.register_plugin(offering(families=[Other]), distribution="two", name="second")
    table = plugin_table(registry)
    status = table.loc[table["name"] == "poisson", "status"].tolist()
    assert status == ["ok; write one:poisson", "ok; write two:poisson"]


def test_ends_with_what_failed(registry):
    with pytest.warns(PluginWarning):
        registry.register_plugin(offering(families=[Bare]), distribution="old", name="third")
    row = plugin_table(registry).iloc[-1]
    assert (row["kind"], row["name"], row["class"]) == ("family", "third", "Bare")
    assert row["distribution"] == "old" and row["status"].startswith("failed at contract: ")


def test_has_all_that_is_installed():
    table = interlace.plugins()
    assert set(table["kind"]) >= {
        "family", "approximation", "optimizer", "covariance", "composition"
    }  # fmt: skip
    assert set(table.loc[table["kind"] == "covariance", "name"]) >= {"us", "diag"}
    assert issubclass(PoissonFamily, Family)
