"""The workers' allocation of memory, which can cost several times what a fit does."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from interlace_dask.worker import malloc_settings

LOG = logging.getLogger("interlace")

ENOUGH = 64 * 2**20
"""Bytes of a setting from which arrays of parts are no longer mapped and unmapped one by one."""

_told: set[str] = set()
"""Schedulers whose users were told."""


def look_at_malloc(client: Any) -> str:
    """Return in words what is wrong with the workers' settings, and tell it once; empty if nothing.

    Any value of MALLOC_TRIM_THRESHOLD_ turns off the C library's own adaptation, by which arrays
    that come and go are not mapped anew each time; Dask sets one.

    Parameters
    ----------
    client : Client
    """
    slow = [each for each in client.run(malloc_settings).values() if is_slow(each)]
    if not slow:
        return ""
    where = str(client.scheduler.address) if client.scheduler is not None else ""
    if where not in _told:
        _told.add(where)
        LOG.warning(
            "%d workers have MALLOC_TRIM_THRESHOLD_=%s, as Dask sets it, which maps and unmaps "
            "every array: rounds take up to four times as long. Before workers start: "
            'dask.config.set({"distributed.nanny.pre-spawn-environ": {"MALLOC_TRIM_THRESHOLD_": '
            '"1000000000", "MALLOC_MMAP_THRESHOLD_": "1000000000"}})',
            len(slow),
            slow[0]["MALLOC_TRIM_THRESHOLD_"],
        )
    return "slowed by their malloc settings"


def is_slow(settings: Mapping[str, str]) -> bool:
    """Return whether settings of a worker's environment are slow ones."""
    if "MALLOC_TRIM_THRESHOLD_" not in settings:
        return False
    return _number(settings.get("MALLOC_MMAP_THRESHOLD_", "0")) < ENOUGH


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        return 0
