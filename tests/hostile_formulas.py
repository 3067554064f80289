"""Formulas that try to run code or to use up a machine, through every door; run as a script.

`python hostile_formulas.py FOLDER STEP` tries every STEP-th combination of payload and door, and
prints as JSON what it saw: formulas that were not refused in words, events of Python's audit that
only running code raises, canaries that changed, and what the worst formula took.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

PAYLOADS = {
    "builtins": [
        "__import__('os').system('touch {file}')",
        "open('{file}', 'w')",
        'eval(\'open("{file}", "w")\')',
        "exec('import os')",
        "getattr(x, 'to_csv')('{file}')",
        "globals()",
        "compile('1', 'a', 'eval')",
        "print(x)",
        "input()",
        "breakpoint()",
    ],
    "numpy": [
        "np.f2py.os.system('touch {file}')",
        'np.testing.runstring(\'open("{file}", "w")\', dict())',
        "np.load('{file}', allow_pickle=True)",
        "np.save('{file}', x)",
        "np.savetxt('{file}', x)",
        "np.fromfile('{file}')",
        "np.memmap('{file}', mode='w+', shape=3)",
        "numpy.lib.format.open_memmap('{file}', mode='w+', shape=3)",
        "np.add.outer(x, x)",
        "np.frompyfunc(x, 1, 1)",
        "np.vectorize(x)",
        "np.ctypeslib.load_library('c', '.')",
    ],
    "attributes": [
        "x.__class__.__base__.__subclasses__()",
        "().__class__.__mro__",
        "x.to_csv('{file}')",
        "x.to_pickle('{file}')",
        "log.__globals__",
        "np.log.__class__('a')",
        "x.mean()",
        "contr.treatment.__init__.__globals__",
        "C(x, contr.__class__)",
        "center.__wrapped__(x)",
    ],
    "f-strings": [
        'I(f\'{{__import__("os").system("touch {file}")}}\')',
        'f\'{{open("{file}", "w")}}\'',
        'I(rf\'{{open("{file}", "w")}}\')',
        "Q(f'{{x}}')",
        "'{{0.__class__}}'.format(x)",
        "I('%s' % x)",
    ],
    "syntax": [
        "(lambda: open('{file}', 'w'))()",
        "[open('{file}', 'w') for _ in [1]]",
        "I({{k: open(k) for k in ['{file}']}})",
        "(y := x)",
        "x if x else x",
        "x[0]",
        "I(x[open('{file}', 'w')])",
        "log(*x)",
        "log(x, **x)",
        "I(await x)",
        "I((yield x))",
        "x; import os",
        "x\nimport os",
        "I(not x)",
        "I(x and x)",
        "I(x @ x)",
        "I(1 < x < 3)",
        "I(...)",
    ],
    "environment": [
        "__import__('os').environ.update(CANARY='dead')",
        "np.f2py.os.putenv('CANARY', 'dead')",
        "os.environ.clear()",
        "sys.exit()",
        "I(sys.modules)",
    ],
    "sockets": [
        "__import__('socket').create_connection(('127.0.0.1', 9))",
        "np.DataSource().open('http://127.0.0.1:9/a')",
        "np.loadtxt('http://127.0.0.1:9/a')",
        "pd.read_pickle('http://127.0.0.1:9/a')",
        "pd.read_csv('http://127.0.0.1:9/a')",
    ],
    "threads": [
        "__import__('threading').Thread(target=print).start()",
        "__import__('subprocess').run('true')",
        "np.f2py.subprocess.Popen('true')",
        "__import__('multiprocessing').Process().start()",
        "__import__('ctypes').CDLL('libc.so.6')",
    ],
    "transforms": [
        "hashed(x, levels=3, hash_func=open)",
        "C(x, open('{file}', 'w'))",
        "C(x, levels=open)",
        "poly(x, degree=open('{file}', 'w'))",
        "bs(x, knots=np.load('{file}'))",
        "scale(x, _state=x)",
        "poly(x, 2, _spec=x)",
        "__FORMULAIC_CONTEXT__",
        "stateful_eval('open')",
    ],
    "backticks": [
        "`' + open('{file}', 'w').name + '`",
        "`x`.to_pickle('{file}')",
        "`__import__('os')`",
        "`{{x}}`",
        "`x",
    ],
    "sizes": [
        "(x + z) ** 1000000",
        "(x + z)^99999999999999999999",
        "I(9 ** 9 ** 9)",
        "I(x * 9 ** 9 ** 9 ** 9)",
        "I('a' * 1000000000000)",
        "I([0] * 1000000000000)",
        "bs(x, df=50000)",
        "bs(x, degree=9999)",
        "cr(x, df=100000)",
        "poly(x, 1000000)",
        "hashed(x, 1000000000)",
        "hashed(x, ~-1000000000)",
        "C(x, levels=[0] * 1000000000000)",
        "bs(x, df=9999 * 9999 * 9999)",
        "I(x ** " + "9" * 3000 + ")",
        "(" * 500 + "x" + ")" * 500,
        "I(" + "-" * 5000 + "x)",
        "-" * 5000 + "x",
        "I(x" + " + x" * 5000 + ")",
        "*".join(f"I(x + {k})" for k in range(40)),
        ":".join(f"I(x + {k})" for k in range(400)),
        "(" + " + ".join(f"I(x + {k})" for k in range(60)) + ")^3:x",
        "x" * 5_000_000,
        "'" * 200_001,
        "log(" * 5000,
        "I(x ** 1e400)",
        "I(x * " + "1" * 100_000 + ")",
        "bs(x, knots=[" + "1, " * 100_000 + "])",
    ],
}
"""Payloads by kind; `{file}` is a path that must not come to be."""

FORBIDDEN = (
    "exec", "compile", "os.system", "os.exec", "os.fork", "os.posix_spawn", "subprocess.Popen",
    "socket.__new__", "socket.connect", "pickle.find_class", "os.putenv", "ctypes.dlopen",
    "code.__new__", "function.__new__", "sys._getframe_", "webbrowser.open", "urllib.Request",
)  # fmt: skip
"""Events of Python's audit that code of a formula's would raise; all else is warmed up before."""


def data():
    rng = np.random.default_rng(1)
    n = 90
    frame = pd.DataFrame({"x": rng.normal(size=n), "z": rng.uniform(1, 2, n)})
    frame["g"] = np.tile(list("abcdef"), n // 6)
    frame["n"] = 5
    frame["y"] = rng.poisson(2, n) % 5
    frame["t"] = np.tile(np.arange(n // 6), (6, 1)).T.ravel()
    return frame


def doors(interlace, frame, folder):
    """Return what a text can be given to, by name."""
    from interlace.cli import main

    csv = folder / "data.csv"
    frame.to_csv(csv, index=False)

    def command(formula):
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            code = main(["fit", str(csv), formula, "--family", "poisson"])
        if code:
            raise interlace_error(errors.getvalue())

    def glmer(formula="y ~ x + (1 | g)", family="poisson", **more):
        return interlace.glmer(formula, frame, family, **more)

    from interlace_core.messages.errors import InterlaceError as interlace_error

    return {
        "fixed": lambda p: glmer(f"y ~ {p} + (1 | g)"),
        "left of the bar": lambda p: glmer(f"y ~ x + (1 + {p} | g)"),
        "right of the bar": lambda p: glmer(f"y ~ x + (1 | {p})"),
        "structure's option": lambda p: glmer(f"y ~ x + diag(1 | g, d = {p})"),
        "response": lambda p: glmer(f"{p} ~ x + (1 | g)"),
        "offset()": lambda p: glmer(f"y ~ x + offset({p}) + (1 | g)"),
        "dispformula": lambda p: glmer(family="nbinom2", dispformula=f"~ {p}"),
        "ziformula": lambda p: glmer(family="zip", ziformula=f"~ {p}"),
        "parameters": lambda p: glmer(family="nbinom2", parameters={"theta": f"~ {p}"}),
        "offset=": lambda p: glmer(offset=p),
        "weights=": lambda p: glmer(weights=p),
        "groups=": lambda p: glmer("y ~ x", groups=p),
        "random=": lambda p: glmer("y ~ x", random=f"(0 + {p} | g)"),
        "correlation=": lambda p: interlace.fit("y ~ x", frame, correlation=f"ar1({p} | g)"),
        "linear": lambda p: interlace.fit(f"y ~ x * {p} + (1 | g)", frame),
        "ordinal": lambda p: interlace.clmm(f"y ~ {p}", frame, groups="g"),
        "command line": lambda p: command(f"y ~ x + {p} + (1 | g)"),
    }


def main():
    folder, step = Path(sys.argv[1]), int(sys.argv[2])
    warnings.simplefilter("ignore")
    import interlace
    from interlace_core.messages.errors import InterlaceError

    frame = data()
    places = doors(interlace, frame, folder)
    places["fixed"]("bs(z, df=4) + C(t, contr.sum)")  # imports what is imported when it is used
    for door in places.values():
        with contextlib.suppress(InterlaceError):
            door("unknown(x)")
    os.environ["CANARY"] = "alive"
    before = set(sys.modules)
    seen, worst, trouble = [], ["", 0.0], []
    listening = [""]

    def audit(event, arguments):
        if listening[0] and event in FORBIDDEN:
            seen.append([listening[0], event, str(arguments)[:80]])

    sys.addaudithook(audit)
    listening[0] = "control"
    eval("1 + 1")
    heard, seen[:], listening[0] = len(seen), [], ""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    texts = [(kind, each) for kind, payloads in PAYLOADS.items() for each in payloads]
    combinations = [(p, t) for k, t in enumerate(texts) for p in places]
    tried = combinations[::step]
    resource.setrlimit(resource.RLIMIT_AS, (6 * 2**30,) * 2)
    for place, (kind, text) in tried:
        target = folder / "ran"
        payload = text.replace("{file}", str(target)).replace("{{", "{").replace("}}", "}")
        listening[0] = f"{place}: {kind}: {payload[:60]}"
        start = time.process_time()
        try:
            places[place](payload)
            outcome = "fitted"
        except InterlaceError:
            outcome = ""
        except BaseException as error:
            outcome = f"{type(error).__name__}: {str(error)[:80]}"
        spent = time.process_time() - start
        where, listening[0] = listening[0], ""
        if spent > worst[1]:
            worst[:] = [where, spent]
        if outcome:
            trouble.append([where, outcome])
        if target.exists() or os.environ.get("CANARY") != "alive":
            trouble.append([where, "a canary died"])
    report = {
        "tried": len(tried),
        "kinds": len(PAYLOADS),
        "doors": len(places),
        "trouble": trouble,
        "audit": seen,
        "heard": heard,
        "threads": threading.active_count(),
        "files": sorted(path.name for path in folder.iterdir()),
        "modules": sorted(
            name for name in set(sys.modules) - before if not name.startswith("interlace")
        ),
        "worst": worst,
        "megabytes": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 1024,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
