"""What saving does to a disk: whole or not at all, and nothing but a file."""

from __future__ import annotations

import errno
import os
import stat

import pytest

import interlace
from interlace.config import files as configuration
from interlace_core.messages.errors import (
    ConfigurationWarning,
    FileAccessError,
    SavedFileError,
)


@pytest.fixture(scope="module")
def model():
    data = interlace.datasets.load("cbpp")
    formula = "incidence / size ~ period + (1 | herd)"
    return interlace.glmer(formula, data, "binomial", weights="size")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_has_what_the_umask_leaves(model, tmp_path):
    before = os.umask(0o027)
    try:
        model.save(tmp_path / "fit.interlace")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "fit.interlace").stat().st_mode) == 0o640


def test_a_file_that_is_replaced_keeps_its_mode(model, tmp_path):
    path = tmp_path / "fit.interlace"
    path.write_bytes(b"old")
    path.chmod(0o604)
    model.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o604
    assert interlace.load(path).llf == model.llf


def test_a_link_stays_a_link(model, tmp_path):
    real, link = tmp_path / "real.interlace", tmp_path / "link.interlace"
    real.write_bytes(b"old")
    link.symlink_to(real)
    model.save(link)
    assert link.is_symlink()
    assert interlace.load(real).llf == model.llf


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_no_file(model, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SavedFileError, match="a device or pipe"):
        model.save(tmp_path / "pipe")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_folder_is_no_file(model, tmp_path):
    with pytest.raises(SavedFileError, match="a folder"):
        model.save(tmp_path)


@pytest.mark.parametrize(
    ("where", "number"),
    [("fsync", errno.ENOSPC), ("replace", errno.EACCES), ("open", errno.EROFS)],
)
def test_what_fails_leaves_the_old_content_and_nothing_else(
    model, tmp_path, monkeypatch, where, number
):
    """A full disk, a folder that may not be written, a disk that may only be read."""
    path = tmp_path / "fit.interlace"
    path.write_bytes(b"old")

    def refuse(*arguments, **named):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, where, refuse)
    with pytest.raises(FileAccessError, match=os.strerror(number)):
        model.save(path)
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["fit.interlace"]


def test_what_is_written_is_on_the_disk_before_it_gets_its_name(model, tmp_path, monkeypatch):
    seen, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (seen.append("synced"), fsync(handle))[1])
    monkeypatch.setattr(os, "replace", lambda *paths: (seen.append("renamed"), replace(*paths))[1])
    model.save(tmp_path / "fit.interlace")
    assert seen[:2] == ["synced", "renamed"]


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="the system has no owners of this kind")
def test_configuration_of_another_user_is_left_aside(tmp_path, monkeypatch):
    (tmp_path / "interlace.toml").write_text("nAGQ = 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(configuration.os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    data = interlace.datasets.load("cbpp")
    with pytest.warns(ConfigurationWarning, match="belongs to another user"):
        fit = interlace.glmer(
            "incidence / size ~ period + (1 | herd)", data, "binomial", weights="size"
        )
    assert fit.fitted_by.name == "laplace"


def test_markup_in_names_is_text():
    data = interlace.datasets.load("sleepstudy")
    name = "<script>alert(1)</script>"
    data = data.rename(columns={"Days": name})
    model = interlace.fit(f"Reaction ~ `{name}` + (1 | Subject)", data)
    told = model.explain()
    for shown in (told._repr_markdown_(), told._repr_html_(), model.summary().to_html()):
        assert "<script" not in shown
        assert "script" in shown
