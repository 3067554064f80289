"""The versions of the site side by side: order, the menu, the page that leads to the latest."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent / "site" / "versions.py"


def place(built, root, name):
    command = [sys.executable, SCRIPT, built, root, name, "https://host/interlace/"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_latest_release_comes_first_and_others_stay(tmp_path):
    built, root = tmp_path / "built", tmp_path / "root"
    built.mkdir()
    (built / "index.html").write_text("a site", encoding="utf-8")
    for name in ("dev", "0.2.0", "0.10.0", "0.9.1"):
        assert place(built, root, name).returncode == 0
    (built / "index.html").write_text("another", encoding="utf-8")
    place(built, root, "0.9.1")
    assert (root / "0.2.0" / "index.html").read_text(encoding="utf-8") == "a site"
    assert (root / "0.9.1" / "index.html").read_text(encoding="utf-8") == "another"
    menu = json.loads((root / "switcher.json").read_text(encoding="utf-8"))
    assert [each["version"] for each in menu] == ["dev", "0.10.0", "0.9.1", "0.2.0"]
    assert [each["version"] for each in menu if each.get("preferred")] == ["0.10.0"]
    assert menu[1]["url"] == "https://host/interlace/0.10.0/"
    assert 'url=0.10.0/index.html"' in (root / "index.html").read_text(encoding="utf-8")


def test_what_is_no_site_or_version_is_refused(tmp_path):
    (tmp_path / "index.html").touch()
    assert "nox -s site" in place(tmp_path / "nothing", tmp_path / "root", "dev").stderr
    assert "got 'latest'" in place(tmp_path, tmp_path / "root", "latest").stderr
