"""The tutorial, followed to the letter in an empty environment with built wheels.

Its blocks run in order: each `sh` block as it stands, each run of `python` blocks between them as
one script. Blocks marked `no-run` run here, where the package that they need is installed.
"""

import re

from environments import ROOT, Environment, for_users

BLOCK = re.compile(r"^```(python|sh)(?: no-run)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def steps(text):
    """Yield (language, code), consecutive python blocks together."""
    scripts = []
    for language, code in BLOCK.findall(text):
        if language == "python":
            scripts.append(code)
            continue
        if scripts:
            yield "python", "\n".join(scripts)
        scripts = []
        yield "sh", code
    if scripts:
        yield "python", "\n".join(scripts)


def test_the_tutorial_works_as_written(tmp_path, wheels):
    environment = Environment.make(tmp_path)
    environment.install(*for_users(wheels))
    done = []
    for language, code in steps((ROOT / "docs" / "publish-a-family.md").read_text("utf-8")):
        if language == "sh":
            done.append(environment.run("bash", "-euo", "pipefail", "-c", code))
        else:
            done.append(environment.python(code))
    text = "\n".join(done)
    assert "checks passed" in text  # the kit, on the class of the page
    assert "Careless(), check 'density sums to one': expected" in text
    assert re.search(r"^\d+ passed", text, re.MULTILINE)  # the tests of the package
    assert re.search(r"family +annual_maxima +AnnualMaximaFamily +interlace-annual-maxima", text)
    assert "'annual_maxima' is not provided by anything installed" in text


def test_the_tutorial_of_structures_works_as_written(tmp_path, wheels):
    environment = Environment.make(tmp_path)
    environment.install(*for_users(wheels))
    done = []
    page = ROOT / "docs" / "publish-a-covariance-structure.md"
    for language, code in steps(page.read_text("utf-8")):
        if language == "sh":
            done.append(environment.run("bash", "-euo", "pipefail", "-c", code))
        else:
            done.append(environment.python(code))
    text = "\n".join(done)
    assert "checks passed" in text
    assert "Careless, check 'pullback matches differences': expected" in text
    assert re.search(r"^\d+ passed", text, re.MULTILINE)
    assert "range | region" in text and "(fixed)" in text


def test_python_blocks_are_joined_between_commands():
    text = "```python\na\n```\n\n```python no-run\nb\n```\n```sh\nc\n```\n```text\nno\n```\n"
    assert list(steps(text)) == [("python", "a\n\nb\n"), ("sh", "c\n")]
