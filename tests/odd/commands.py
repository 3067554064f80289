"""Run the command line on odd input, and list what did not end in words.

python tests/odd/commands.py
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

CSV = "y,x,g\n" + "".join(f"{i % 4},{(i * 7) % 5},{'abcdefgh'[i % 8]}\n" for i in range(40))
FORMULA = "y ~ x + (1 | g)"

FILES: dict[str, bytes] = {
    "good": CSV.encode(),
    "empty": b"",
    "newline": b"\n",
    "header": b"y,x,g\n",
    "nul": b"\x00" * 100,
    "utf16": CSV.encode("utf-16"),
    "utf16le": CSV.encode("utf-16-le"),
    "utf32": CSV.encode("utf-32"),
    "bom": b"\xef\xbb\xbf" + CSV.encode(),
    "latin1": CSV.replace("a", "\xe4").encode("latin-1"),
    "long row": (CSV + "1,2,a,4,5\n").encode(),
    "long rows": ("y,x,g\n" + "1,2,a,4\n" * 40).encode(),
    "short row": (CSV + "1\n").encode(),
    "quote": (CSV + '1,2,"a\n').encode(),
    "semicolons": CSV.replace(",", ";").encode(),
    "tabs": CSV.replace(",", "\t").encode(),
    "decimal comma": CSV.replace(",", ";").replace("1", "1,5").encode(),
    "parquet": b"PAR1" + bytes(range(256)) * 4 + b"PAR1",
    "zip": b"PK\x03\x04" + bytes(200),
    "gzip": b"\x1f\x8b\x08" + bytes(60),
    "html": b"<html><body>404</body></html>\n",
    "json": b'{"y": [1, 2]}\n',
    "doubled": CSV.replace("y,x,g", "y,y,g").encode(),
    "unnamed": CSV.replace("y,x,g", ",,").encode(),
    "spaces": CSV.replace("y,x,g", " y, x , g").encode(),
    "text in numbers": CSV.replace("\n3,", "\nthree,").encode(),
    "huge numbers": CSV.replace("3,", "1e400,").encode(),
    "infinite": CSV.replace("3,", "inf,").encode(),
    "negative": CSV.replace("3,", "-3,").encode(),
    "halves": CSV.replace("3,", "0.5,").encode(),
    "missing": CSV.replace("3,", ",").encode(),
    "all missing": ("y,x,g\n" + ",,\n" * 30).encode(),
    "one row": b"y,x,g\n1,2,a\n",
    "one group": CSV.replace("b", "a").encode(),
    "constant": ("y,x,g\n" + "1,1,a\n1,2,b\n" * 20).encode(),
    "returns": CSV.replace("\n", "\r").encode(),
    "windows": CSV.replace("\n", "\r\n").encode(),
}

FORMULAS = (
    "",
    " ",
    "~",
    "y",
    "y ~",
    "~ x",
    "y ~ x ~ g",
    "y ~ (1 | g",
    "y ~ x)",
    "y ~ z",
    "y ~ (1 | z)",
    "y ~ 1 +",
    "y ~ x | g",
    "y ~ (1 | g) + (1 | g)",
    "y ~ f'{x}'",
    "y ~ __import__('os')",
    "y ~ x" + " + x" * 2000,
    "y ~ " + "(" * 500 + "x" + ")" * 500,
    "y ~ I(x ** 10000)",
    "log(y) ~ x",
    "y ~ `x",
    "\u00e9 ~ x",
    "y ~ x\n+ g",
    "y ~ 0",
    "y ~ 0 + (1 | g)",
    "cbind(y, x) ~ 1",
    "y / x ~ 1",
)

OPTIONS: tuple[tuple[str, ...], ...] = (
    ("--family", ""),
    ("--family", "poison"),
    ("--family", "gaussian"),
    ("--family", "a:b"),
    ("--family", "poisson", "--groups", "z"),
    ("--family", "poisson", "--groups", ""),
    ("--family", "poisson", "--weights", "z"),
    ("--family", "poisson", "--weights", "g"),
    ("--family", "poisson", "--offset", "log(x)"),
    ("--family", "poisson", "--offset", "1/0"),
    ("--family", "poisson", "--nAGQ", "-1"),
    ("--family", "poisson", "--nAGQ", "1.5"),
    ("--family", "poisson", "--nAGQ", "1" + "0" * 40),
    ("--family", "poisson", "--optimizer", "x"),
    ("--family", "poisson", "--text", "z"),
    ("--family", "poisson", "--text", "x"),
    ("--family",),
    (),
    ("--family", "poisson", "--unknown"),
    ("--family", "poisson", "--verbose"),
)

OTHERS: tuple[tuple[str, ...], ...] = (
    (),
    ("--help",),
    ("--version",),
    ("nonsense",),
    ("fit",),
    ("fit", "--help"),
    ("config",),
    ("plugins",),
    ("new-family",),
    ("new-family", ""),
    ("new-family", "A b"),
    ("new-family", "../x"),
    ("new-family", "poisson"),
    ("new-family", "mine", "--into", "/no/such/folder/anywhere"),
    ("new-family", "x" * 300),
    ("fit", "/no/such/file.csv", FORMULA, "--family", "poisson"),
    ("fit", ".", FORMULA, "--family", "poisson"),
    ("fit", "", FORMULA, "--family", "poisson"),
    ("fit", "/dev/null", FORMULA, "--family", "poisson"),
)


def commands(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield a name and the arguments of each command."""
    for name, content in FILES.items():
        path = folder / f"{name}.csv"
        path.write_bytes(content)
        yield f"file {name}", ["fit", str(path), FORMULA, "--family", "poisson"]
    good = str(folder / "good.csv")
    for formula in FORMULAS:
        yield f"formula {formula[:30]!r}", ["fit", good, formula, "--family", "poisson"]
    for options in OPTIONS:
        yield f"options {options}", ["fit", good, FORMULA, *options]
    for other in OTHERS:
        yield f"command {str(other)[:50]}", list(other)


PROGRAM = [sys.executable, "-c", "import sys; from interlace.cli import main; sys.exit(main())"]


def main() -> int:
    """Run the commands; return the exit status."""
    wrong, count = [], 0
    with tempfile.TemporaryDirectory() as folder:
        for name, arguments in commands(Path(folder)):
            count += 1
            try:
                ended = subprocess.run(
                    [*PROGRAM, *arguments],
                    capture_output=True,
                    timeout=120,
                    cwd=folder,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                wrong.append(name)
                print(f"{name}: over 120 s", flush=True)
                continue
            said = ended.stdout.decode(errors="replace") + ended.stderr.decode(errors="replace")
            if "Traceback" in said or ended.returncode not in (0, 1, 2, 3) or not said.strip():
                wrong.append(name)
                print(f"{name}: exit status {ended.returncode}: {said[-300:]}", flush=True)
        head = subprocess.run(
            ["sh", "-c", f"{shlex.join([*PROGRAM, 'demo'])} | head -1"],
            capture_output=True,
            timeout=120,
            cwd=folder,
            check=False,
        )
        count += 1
        if head.stderr:
            wrong.append("head")
            print(f"head: {head.stderr.decode()}")
    print(f"{count} commands: {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
