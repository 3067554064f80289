"""One version for all distributions, and a check of it that can fail."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "release"))
import same_version


def test_every_file_states_the_same_version(capsys):
    assert same_version.main(None) == 0
    assert len(same_version.versions()) > 12


def test_a_tag_of_another_version_is_told(capsys):
    assert same_version.main("v9.9.9") == 1
    assert "interlace-core: 0.1.0, not 9.9.9" in capsys.readouterr().out


def test_a_release_needs_its_changes_told(tmp_path):
    (tmp_path / "changelog").mkdir()
    (tmp_path / "changelog" / "README.md").write_text("how to\n")
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 0.2.0\n")
    assert same_version.untold(tmp_path, "0.2.0") == []
    (tmp_path / "changelog" / "new.md").write_text("Added: a thing.\n")
    lacking = same_version.untold(tmp_path, "0.3.0")
    assert lacking == [
        "CHANGELOG.md has no part for 0.3.0",
        "changelog/new.md is not in CHANGELOG.md yet",
    ]
