"""Put a built site beside those of other versions, and list them for the site's menu.

Usage: python tests/site/versions.py BUILT ROOT NAME URL

BUILT is what `nox -s site` made. It goes to ROOT/NAME, where NAME is a release ("0.1.0") or "dev";
ROOT/switcher.json lists every version there, the latest release as preferred; ROOT/index.html leads
to it. URL is where ROOT is served.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

DEV = "dev"
LEADS = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>interlace</title>
<meta http-equiv="refresh" content="0; url={name}/index.html">
<link rel="canonical" href="{url}/{name}/index.html">
</head>
<body><p><a href="{name}/index.html">interlace {name}</a></p></body>
</html>
"""


def versions(root: Path) -> list[str]:
    """Return the versions that are there: what is being made, then releases, the latest first."""
    names = [each.name for each in root.iterdir() if (each / "index.html").exists()]
    releases = [each for each in names if re.fullmatch(r"\d+\.\d+\.\d+", each)]
    releases.sort(key=lambda each: [int(part) for part in each.split(".")], reverse=True)
    return [DEV] * (DEV in names) + releases


def menu(names: list[str], url: str) -> list[dict[str, object]]:
    """Return the entries of the menu, as the theme reads them."""
    releases = [each for each in names if each != DEV]
    entries: list[dict[str, object]] = []
    for name in names:
        entry: dict[str, object] = {"version": name, "url": f"{url}/{name}/"}
        if releases and name == releases[0]:
            entry |= {"name": f"{name} (latest)", "preferred": True}
        entries.append(entry)
    return entries


def main(built: Path, root: Path, name: str, url: str) -> None:
    """Place the site, and write the menu and the page that leads to the latest."""
    if not (built / "index.html").exists():
        raise SystemExit(f"{built}: expected a built site. Run `nox -s site` first.")
    if not re.fullmatch(rf"{DEV}|\d+\.\d+\.\d+", name):
        raise SystemExit(f"NAME: expected {DEV} or a release such as 0.1.0, got {name!r}.")
    root.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(root / name, ignore_errors=True)
    shutil.copytree(built, root / name)
    names, url = versions(root), url.rstrip("/")
    text = json.dumps(menu(names, url), indent=2)
    (root / "switcher.json").write_text(f"{text}\n", encoding="utf-8")
    first = next((each for each in names if each != DEV), DEV)
    (root / "index.html").write_text(LEADS.format(name=first, url=url), encoding="utf-8")
    # or the host would leave out folders whose names begin with _
    (root / ".nojekyll").touch()
    print(f"{root}: {', '.join(names)}; {first} first")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4])
