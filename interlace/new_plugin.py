"""Write a new plugin's distribution: a copy of its kind's template under another name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from interlace_core.messages.errors import OptionError

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


@dataclass(frozen=True)
class Template:
    """What a kind of component is copied from.

    Attributes
    ----------
    kind : str
        As the registry calls it.
    command : str
        By which it is asked for.
    distribution, cls, word : str
        Names in the template: of the distribution, of the class, and of the component.
    ending : str
        Of the class.
    example : str
        How users write such a name.
    """

    kind: str
    command: str
    distribution: str
    cls: str
    word: str
    ending: str
    example: str

    @property
    def folders(self) -> tuple[Path, Path]:
        """Where it is: in an installed interlace, and in a copy of its repository."""
        here = Path(__file__)
        return (
            here.parent / "templates" / self.kind,
            here.parents[1] / "plugins" / self.distribution,
        )


FAMILY = Template(
    "family", "new-family", "interlace-template", "GumbelFamily", "gumbel", "Family",
    "family='my_family'",
)  # fmt: skip
COVARIANCE = Template(
    "covariance", "new-covariance", "interlace-template-covariance", "CauchyCovariance", "cauchy",
    "Covariance", "my_structure(0 + x + y | g)",
)  # fmt: skip


def write_plugin(template: Template, name: str, into: Path) -> Path:
    """Write a distribution `interlace-NAME` with a component NAME and return its folder.

    Parameters
    ----------
    template : Template
        `FAMILY` or `COVARIANCE`.
    name : str
        Name of the component: lower-case words, digits and single underscores.
    into : Path
        Folder in which the distribution's own is made.

    Raises
    ------
    OptionError
        If the name is no such word, is taken by an installed component, or the folder exists.
    """
    _check_name(template, name)
    target = into / f"interlace-{name.replace('_', '-')}"
    if target.exists():
        raise OptionError(
            f"{template.command}: expected {target} not to exist yet, got a file or folder. Choose "
            "another name or another place (--into)."
        )
    source = next((folder for folder in template.folders if folder.is_dir()), None)
    if source is None:
        raise OptionError(
            f"{template.command}: expected the template in {template.folders[0]}, got nothing "
            "there. Install interlace again."
        )
    words = _words(template, name)
    for file in _files(source):
        copy = target / _renamed(file.relative_to(source).as_posix(), words)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(_renamed(file.read_text(encoding="utf-8"), words), encoding="utf-8")
    return target


def _check_name(template: Template, name: str) -> None:
    from interlace_core.registry.registry import default_registry

    if not NAME.fullmatch(name):
        raise OptionError(
            f"{template.command}: expected a name of lower-case letters, digits and single "
            f"underscores, starting with a letter, got {name!r}. Write it as users will: "
            f"{template.example}."
        )
    taken = [each for each in default_registry().classes(template.kind) if each.name == name]
    if taken:
        raise OptionError(
            f"{template.command}: {name!r} is a {template.kind} of {taken[0].distribution} "
            f"{taken[0].version} already. Choose another name: users could not tell the two apart."
        )


def _words(template: Template, name: str) -> dict[str, str]:
    """Return what stands in the template, with what stands in the copy."""
    new = f"interlace-{name.replace('_', '-')}"
    return {
        template.distribution: new,
        template.distribution.replace("-", "_"): f"interlace_{name}",
        template.cls: "".join(word.capitalize() for word in name.split("_")) + template.ending,
        f'"{template.word}"': f'"{name}"',
    }


def _renamed(text: str, words: dict[str, str]) -> str:
    for old, new in words.items():
        text = text.replace(old, new)
    return text


def _files(template: Path) -> Iterator[Path]:
    """Yield the template's own files: not what running its tests leaves behind."""
    yield template / "pyproject.toml"
    yield template / "README.md"
    for folder in ("src", "tests"):
        for path in sorted((template / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc":
                yield path
