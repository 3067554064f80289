"""How long `import interlace` takes, and a first fit, beside the import of what both need.

The import is lazy: most modules are loaded by the first fit. So three things are timed, each in
new interpreters: the import; the import and a first small fit; and the modules of other
distributions that the latter loads, imported alone. An interpreter that imports nothing is taken
off all three.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

IMPORT = "import interlace"
FIRST_FIT = """
import interlace
data = {"y": [0, 1, 1, 0, 1, 0, 1, 1], "g": ["a", "a", "b", "b", "c", "c", "d", "d"]}
import warnings
warnings.simplefilter("ignore")
interlace.glmer("y ~ 1", data, "binomial", groups="g").summary()
"""
LIST = f"""
import sys
before = set(sys.modules)
{FIRST_FIT}
own = {{m.split(".")[0] for m in sys.modules if m.split(".")[0].startswith("interlace")}}
skip = own | set(sys.stdlib_module_names)
print(*(m for m in sys.modules if m not in before and m.split(".")[0] not in skip))
"""
DEPENDENCIES = """
import contextlib, importlib
for name in {names!r}:
    with contextlib.suppress(ImportError):
        importlib.import_module(name)
"""


def import_times(repeats: int) -> dict[str, float]:
    """Return median seconds of "import", "import and first fit" and "dependencies"."""
    sources = {
        "nothing": "pass",
        "import": IMPORT,
        "import and first fit": FIRST_FIT,
        "dependencies": DEPENDENCIES.format(names=run(LIST).split()),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sources}
    for _ in range(repeats + 1):
        for name, source in sources.items():
            began = time.perf_counter()
            run(source)
            seconds[name].append(time.perf_counter() - began)
    # The first round fills the file cache.
    medians = {name: statistics.median(each[1:]) for name, each in seconds.items()}
    nothing = medians.pop("nothing")
    return {name: each - nothing for name, each in medians.items()}


def import_facts(repeats: int) -> dict[str, str]:
    """Return the times and their ratios to the dependencies', in words."""
    times = import_times(repeats)
    base = times["dependencies"]
    return {name: f"{each:.3f} s ({each / base:.2f})" for name, each in times.items()}


def run(source: str) -> str:
    """Return what a new interpreter prints."""
    command = [sys.executable, "-c", source]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
