"""Call every public function with odd values, and list what did not end in an answer or an error.

    python tests/odd/run.py [--each 40] [--doors glmer,predict] [--seed 0]

An answer must be that of the plain call, or the value legal for the argument and its twin's answer
the same. An error must be this library's. Nothing may warn but in this library's categories, take
over ten seconds of processor time, or need over two gigabytes. The exit status is 1 if any did.
"""

from __future__ import annotations

import argparse
import io
import os
import pickle
import signal
import sys
import tempfile
import time
import traceback
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import pandas as pd

from interlace_core.messages.errors import InterlaceError, InterlaceWarning, PluginError
from odd.calls import Door, doors
from odd.values import MAKERS, Text

SECONDS, ASLEEP = 10, 120
"""Of processor time, since others may use the machine; and of the clock, for what waits."""

MEMORY = 2 * 2**30
"""Bytes of address space beyond what is in use at the start."""


class TooSlow(BaseException):
    """A call has taken its time."""


def _ring(*ignored: Any) -> None:
    raise TooSlow


def limit_memory(more: int = MEMORY) -> None:
    """Let no call have more memory than there is in use, and so much more, where the system can."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        size = pages * resource.getpagesize() + more
        resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))
    except (ImportError, OSError, ValueError):
        return


def ended(door: Door, arguments: dict[str, Any]) -> tuple[str, Any]:
    """Return how a call ended: "answer", "refused", or what is wrong with it."""
    signal.signal(signal.SIGALRM, _ring)
    signal.signal(signal.SIGPROF, _ring)
    signal.alarm(ASLEEP)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    with warnings.catch_warnings(record=True) as said, redirect_stdout(io.StringIO()):
        warnings.simplefilter("always")
        try:
            answer = ("answer", door.call(**arguments))
        except PluginError as error:
            answer = ("a PluginError", str(error))
        except InterlaceError as error:
            answer = ("refused", str(error))
        except TooSlow:
            answer = ("too slow", "")
        except BaseException as error:
            frames = traceback.extract_tb(error.__traceback__)
            ours = [each for each in frames if "site-packages" not in each.filename]
            place = f"{ours[-1].filename[-50:]}:{ours[-1].lineno}"
            words = f"{type(error).__name__}: {str(error)[:100]} at {place}"
            answer = ("a foreign exception", words)
        finally:
            signal.alarm(0)
            signal.setitimer(signal.ITIMER_PROF, 0)
            if "matplotlib.pyplot" in sys.modules:
                sys.modules["matplotlib.pyplot"].close("all")
    for each in said:
        if not issubclass(each.category, InterlaceWarning):
            return "a foreign warning", f"{each.category.__name__}: {each.message}"
    return answer


def twin(value: Any) -> Any:
    """Return the same value in another form, or the value itself."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, bool):
        return np.bool_(value)
    if isinstance(value, int) and abs(value) < 2**62:
        return np.int64(value)
    if isinstance(value, float):
        return np.float64(value)
    if isinstance(value, str) and not isinstance(value, Text):
        return Text(value)
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, dict):
        return dict(value)
    if isinstance(value, pd.Series) and value.index.equals(pd.RangeIndex(len(value))):
        return value.to_numpy()
    return value


def same(one: Any, other: Any) -> bool:
    """Return whether two answers are equal in all that they show."""
    return shown(one) == shown(other)


def shown(answer: Any) -> Any:
    """Return an answer in a form that can be compared."""
    if hasattr(answer, "llf") and hasattr(answer, "fit"):
        return ("fit", answer.fit.psi.tobytes(), answer.llf, str(answer.formula))
    if isinstance(answer, (pd.DataFrame, pd.Series)):
        return pickle.dumps((answer.to_numpy().tolist(), list(map(str, answer.index))))
    if isinstance(answer, np.ndarray):
        return answer.tobytes() if answer.dtype.kind != "O" else list(map(shown, answer.flat))
    if isinstance(answer, (tuple, list)):
        return [shown(each) for each in answer]
    if hasattr(answer, "__dataclass_fields__"):
        return [shown(getattr(answer, name)) for name in answer.__dataclass_fields__]
    if type(answer).__module__.startswith("matplotlib") or callable(answer):
        return type(answer).__name__
    return repr(answer)


def judged(door: Door, argument: str, make: Any, plain: Any) -> str | None:
    """Return what is wrong with a call, or None."""
    value = make()
    how, answer = ended(door, {**door.plain, argument: value})
    if how == "refused":
        if "\n" not in answer and len(answer) > 3000:
            return f"a message of {len(answer)} characters"
        return None
    if how != "answer":
        return f"{how}: {answer}"
    if same(answer, plain):
        return None
    try:
        legal = bool(door.legal[argument](make()))
    except Exception:
        legal = False
    if not legal:
        return "accepted, with an answer of its own"
    if make() is None:  # for a seed: draws that are not repeated
        return None
    how, again = ended(door, {**door.plain, argument: twin(make())})
    if how != "answer" or not same(answer, again):
        return f"its twin ended otherwise: {how}: {str(again)[:100]}"
    return None


def slow(argument: str, make: Any) -> bool:
    """Return whether a value is legal, and starts processes that need more than is allowed here."""
    value = make()
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return argument == "n_jobs" and whole and bool(value != 1) and bool(-9 < value < 10)


def label(make: Any) -> str:
    """Return a value in a few characters."""
    try:
        return repr(make())[:60]
    except Exception:
        return "an unfriendly object"


def main() -> int:
    """Run the calls; return the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--each", type=int, default=40, help="values tried for each argument")
    parser.add_argument("--doors", default="", help="parts of names, separated by commas")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chosen = [
        d
        for d in doors()
        if not options.doors or any(p in d.name for p in options.doors.split(","))
    ]
    limit_memory()
    os.chdir(tempfile.mkdtemp())  # some values are names of files
    rng, calls, wrong, began = np.random.default_rng(options.seed), 0, [], time.perf_counter()
    for door in chosen:
        how, plain = ended(door, dict(door.plain))
        if how != "answer" and door.legal and door.plain:
            wrong.append(f"{door.name}: the plain call: {how}: {plain}")
            print(wrong[-1], flush=True)
            continue
        for argument in door.legal:
            for i in rng.permutation(len(MAKERS))[: options.each]:
                if slow(argument, MAKERS[i]):
                    continue
                calls += 1
                found = judged(door, argument, MAKERS[i], plain)
                if found:
                    wrong.append(f"{door.name}({argument}={label(MAKERS[i])}): {found}")
                    print(wrong[-1].encode("ascii", "backslashreplace").decode(), flush=True)
    seconds = time.perf_counter() - began
    print(f"{calls} calls of {len(chosen)} functions in {seconds:.0f} s: {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
