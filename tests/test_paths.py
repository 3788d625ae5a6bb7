"""Paths that cannot be: told in our words, on the way in and on the way out."""

from pathlib import Path

import pytest

from gammax._paths import check_targets, file_fault, resolve_path, write_text
from gammax.errors import FileFormatError, ResourceError


@pytest.mark.parametrize("path", ["~nosuchuser/x", "a\0b", "a\ud800b"])
def test_no_path_at_all(path):
    with pytest.raises(FileFormatError, match="GX-PATH-004"):
        resolve_path(path)


def test_why_a_file_cannot_be_read(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("x")
    assert file_fault(path) == ""
    assert file_fault(tmp_path) == "is a folder"
    assert file_fault(path / "below") == "no such file"
    assert file_fault(tmp_path / ("x" * 300)) == "cannot be read (File name too long)"

    def refuse(self, *args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert file_fault(path) == "cannot be read (Permission denied)"
    monkeypatch.setattr(Path, "stat", refuse)
    assert file_fault(path) == "cannot be read (Permission denied)"


def test_sets_of_files_are_checked_as_a_whole(tmp_path, monkeypatch):
    (tmp_path / "b").write_text("mine")
    (tmp_path / "folder").mkdir()
    for names, error, code in (
        (["a", "A"], FileFormatError, "GX-PATH-005"),
        (["a", "b"], FileFormatError, "GX-PATH-002"),
        (["a", "folder"], FileFormatError, "GX-PATH-006"),
        (["a", "b/below"], ResourceError, "GX-PATH-003"),
        (["a", "x" * 300], ResourceError, "GX-PATH-003"),
    ):
        with pytest.raises(error, match=code):
            check_targets([tmp_path / name for name in names], overwrite=False)
    check_targets([tmp_path / "b", tmp_path / "new" / "c"], overwrite=True)
    monkeypatch.setattr("gammax._paths.os.access", lambda *args: False)
    with pytest.raises(ResourceError, match="GX-PATH-003"):
        check_targets([tmp_path / "new" / "c"], overwrite=True)


def test_a_folder_is_not_replaced_and_long_names_work(tmp_path):
    with pytest.raises(FileFormatError, match="GX-PATH-006"):
        write_text("x", tmp_path, overwrite=True)
    assert write_text("x", tmp_path / ("n" * 255)).read_text() == "x"
