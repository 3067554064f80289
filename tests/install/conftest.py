"""Wheels are built once."""

import pytest
from environments import build_wheels


@pytest.fixture(scope="session")
def wheels(tmp_path_factory):
    return build_wheels(tmp_path_factory.mktemp("wheels"))
