"""Dask frames and the parts on workers meet the contract; two processes of this machine."""

import pandas as pd
import pytest

from interlace_core.testing import frames_checks

dd = pytest.importorskip("dask.dataframe")
distributed = pytest.importorskip("dask.distributed")
pytest.importorskip("interlace_dask")

from interlace_dask import DaskFrames, malloc  # noqa: E402
from interlace_dask.malloc import is_slow, look_at_malloc  # noqa: E402

# of Dask's own sockets, when its cluster ends
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", memory_limit=0
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def data():
    rows = pd.DataFrame({"g": range(7), "x": [0.5] * 7, "t": list("aabbccd")})
    return dd.from_pandas(rows, npartitions=3)


@pytest.mark.parametrize("name, check", frames_checks(DaskFrames, data))
def test_conformance(name, check, client):
    check()


def test_malloc_settings_are_looked_at_and_told_once(client, caplog, monkeypatch):
    monkeypatch.setattr(malloc, "_told", set())
    with caplog.at_level("WARNING", logger="interlace"):
        words = [look_at_malloc(client) for _ in range(2)]
    assert words == ["slowed by their malloc settings"] * 2
    (told,) = caplog.records
    assert "Before workers start: dask.config.set" in told.getMessage()
    assert is_slow({"MALLOC_TRIM_THRESHOLD_": "65536"})
    assert not is_slow({})
    assert not is_slow({"MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_MMAP_THRESHOLD_": "1000000000"})
