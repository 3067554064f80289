"""Ask pyright whether the type of every public name is known, and list those that are not.

    python tests/typing/public_names.py

needs pyright. Public are `interlace` with its modules for users, and all that their classes have;
what `interlace.marginaleffects` and `interlace.sklearn` build on carries no types of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
MODULES = (
    "interlace.datasets",
    "interlace.errors",
    "interlace.families",
    "interlace.plots",
    "interlace.results",
    "interlace.linear",
    "interlace.ordinal",
    "interlace.models",
    "interlace.saved",
    "interlace.pedigrees",
    "interlace.choices",
    "interlace.config.options",
    "interlace.inference.compare",
    "interlace.inference.r2",
    "interlace.inference.accuracy",
    "interlace.inference.bootstrap",
    "interlace.inference.influence",
    "interlace.inference.power",
    "interlace.inference.profile",
    "interlace.inference.scaled_residuals",
    "interlace.reporting.explain",
    "interlace.reporting.summary",
    "interlace.reporting.showing",
)
"""What users import, and what they hold."""


def main() -> int:
    """Print the public names whose type is not known; return 1 if there are any."""
    report = verified()
    found = list(public(report["typeCompleteness"]["symbols"]))
    if len(found) < 300:
        print(f"expected several hundred public names, got {len(found)}: pyright saw no package")
        return 1
    unknown = [each for each in found if not each["isTypeKnown"]]
    for each in unknown:
        why = each["diagnostics"][0]["message"].splitlines()[0] if each["diagnostics"] else ""
        print(f"{each['category']} {each['name']}: {why}")
    print(f"{len(found) - len(unknown)} of {len(found)} public names have known types")
    return 1 if unknown else 0


def verified() -> Any:
    """Return what pyright says of the types of the package, from its sources here."""
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson"]
    done = subprocess.run(
        [*command, "--verifytypes", "interlace", "--ignoreexternal"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    return json.loads(done.stdout)


def public(symbols: list[Any]) -> Iterator[Any]:
    """Yield the symbols of the front door and of the modules for users."""
    for each in symbols:
        name = each["name"]
        inside = any(name == module or name.startswith(f"{module}.") for module in MODULES)
        if each["isExported"] and (inside or name.count(".") == 1):
            yield each


if __name__ == "__main__":
    sys.exit(main())
