"""What all tests share."""

# The folder interlace_core/ has the name of the package inside it. Pytest would take the folder
# for the package when it imports the tests below it, unless the package is there already.
import pytest

import interlace_core  # noqa: F401


def pytest_addoption(parser):
    """Let every model be fitted in standard units."""
    parser.addoption(
        "--standardised",
        action="store_true",
        help="fit every model in standard units, its design ordinary or not",
    )


def pytest_configure(config):
    """Let no design count as ordinary, where that is asked for."""
    config.addinivalue_line("markers", "ordinary: says that ordinary designs are left alone")
    if config.getoption("--standardised"):
        from interlace_core.engine import columns

        columns.LEAST_SHARE = 2.0  # no share is as large
        columns.NEAR_ONE = 1.0


def pytest_collection_modifyitems(config, items):
    """Leave out, there, what is about ordinary designs."""
    if config.getoption("--standardised"):
        skip = pytest.mark.skip(reason="no design counts as ordinary here")
        for item in items:
            if "ordinary" in item.keywords:
                item.add_marker(skip)
