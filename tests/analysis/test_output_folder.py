"""The output folder: nothing of value is lost, whatever happens."""

from pathlib import Path

import pytest

from gammax.analysis._folder import check_folder, staged
from gammax.errors import FileFormatError, ResourceError


def write_run(folder, text, *names):
    with staged(folder) as place:
        for name in (*names, "summary.json"):
            path = place / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)


def tree(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_new_folder_appears_whole(tmp_path):
    out = tmp_path / "deep" / "out"
    with staged(out) as place:
        (place / "report.html").write_text("new")
        assert not out.exists()
    assert tree(tmp_path) == {"deep/out/report.html": "new"}


def test_products_are_replaced_and_other_files_stay(tmp_path):
    out = tmp_path / "out"
    write_run(out, "old", "figures/old.png", "flux_points.fits")
    (out / "notes.txt").write_text("mine")
    write_run(out, "new", "figures/new.png")
    # the flux points of the previous run do not belong to the new one
    assert tree(tmp_path) == {"out/notes.txt": "mine", "out/figures/new.png": "new", "out/summary.json": "new"}


def test_a_run_that_fails_leaves_the_previous_one(tmp_path, monkeypatch):
    def interrupted(path, text):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    out = tmp_path / "out"
    write_run(out, "old", "report.html")
    before = tree(tmp_path)
    monkeypatch.setattr(Path, "write_text", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_run(out, "new", "report.html")
    monkeypatch.undo()
    assert tree(tmp_path) == before


def test_a_move_that_fails_is_undone(tmp_path, monkeypatch):
    import os

    out = tmp_path / "out"
    write_run(out, "old", "config.yaml", "report.html")
    before, rename = tree(tmp_path), os.rename

    def refuse(source, target):
        if source.name == "report.html" and "new" in source.parts:
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(ResourceError, match="No space left"):
        write_run(out, "new", "config.yaml", "report.html")
    assert tree(tmp_path) == before


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="GX-ANALYSIS-043"), staged(tmp_path / "file" / "out"):
        pass


def test_what_may_not_be_overwritten(tmp_path):
    out = tmp_path / "out"
    check_folder(out, overwrite=False)
    out.mkdir()
    check_folder(out, overwrite=False)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(FileFormatError, match="GX-ANALYSIS-041"):
        check_folder(out, overwrite=False)
    check_folder(out, overwrite=True)
    # a folder in which somebody works: its config.yaml is no product of a run
    (out / "config.yaml").write_text("mine")
    with pytest.raises(FileFormatError, match=r"GX-ANALYSIS-042(.|\n)*config\.yaml"):
        check_folder(out, overwrite=True)
    with pytest.raises(FileFormatError, match="GX-ANALYSIS-040"):
        check_folder(out / "notes.txt", overwrite=True)
