"""How long `import interlace` takes beside the import of what it depends on."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

# Modules of other distributions that `import interlace` loads, in the order of loading.
LIST = (
    "import sys; before = set(sys.modules); import interlace; "
    "own = {'interlace'} | {m.split('.')[0] for m in sys.modules if m.startswith('interlace_')}; "
    "skip = own | set(sys.stdlib_module_names); "
    "print(*(m for m in sys.modules if m not in before and m.split('.')[0] not in skip))"
)


def import_times(repeats: int) -> dict[str, float]:
    """Return median seconds of an interpreter that imports interlace, or its dependencies alone.

    The dependencies are the modules of others that `import interlace` loads, no more; the time
    of an interpreter that imports nothing is taken off both.
    """
    loaded = run(LIST).split()
    known = "importlib.import_module(m)"
    others = (
        "import importlib, contextlib\n"
        f"for m in {loaded!r}:\n"
        f"    with contextlib.suppress(ImportError): {known}"
    )
    sources = {"nothing": "pass", "dependencies": others, "interlace": "import interlace"}
    seconds: dict[str, list[float]] = {name: [] for name in sources}
    for _ in range(repeats + 1):
        for name, source in sources.items():
            began = time.perf_counter()
            run(source)
            seconds[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(each[1:]) for name, each in seconds.items()}
    return {name: medians[name] - medians["nothing"] for name in ("interlace", "dependencies")}


def run(source: str) -> str:
    """Return what a new interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", source], check=True, capture_output=True, text=True
    )
    return done.stdout
