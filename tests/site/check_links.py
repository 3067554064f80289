"""Check a built site: every link inside it leads somewhere, and every analysis has a picture.

Usage: python tests/site/check_links.py FOLDER
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """What a page refers to, and the places in it that can be referred to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take down links and places."""
        for name, value in attrs:
            if value and name in ("href", "src"):
                self.links.add(value)
            elif value and name in ("id", "name"):
                self.places.add(value)


def dead_links(folder: Path) -> Iterator[str]:
    """Return what is wrong, a line for each link."""
    pages = {each.resolve(): Page(each.read_text(encoding="utf-8")) for each in pages_of(folder)}
    for path, page in pages.items():
        for link in sorted(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link.startswith(("#", "data:")):
                target, place = path, parts.fragment if link.startswith("#") else ""
            else:
                target = (path.parent / unquote(parts.path)).resolve()
                place = parts.fragment
            if not target.exists():
                yield f"{path.relative_to(folder.resolve())}: {link}: no such file"
            elif place and target in pages and unquote(place) not in pages[target].places:
                yield f"{path.relative_to(folder.resolve())}: {link}: no such place"


def without_pictures(folder: Path) -> Iterator[str]:
    """Return the analyses of the gallery that show no picture, a line for each."""
    for path in sorted((folder / "gallery").glob("*.html")):
        page = Page(path.read_text(encoding="utf-8"))
        if path.name != "index.html" and not any("_images/" in link for link in page.links):
            yield f"{path.relative_to(folder)}: no picture"


def pages_of(folder: Path) -> list[Path]:
    """Return the pages; a theme's files are none."""
    return [each for each in folder.rglob("*.html") if "_static" not in each.parts]


def main(folder: Path) -> int:
    """Print what is wrong; return 1 if anything is, or if there is no site."""
    found = [*dead_links(folder), *without_pictures(folder)]
    pages = len(pages_of(folder))
    print(*found, f"{pages} pages, {len(found)} faults", sep="\n")
    return int(bool(found) or pages < 100)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
