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
