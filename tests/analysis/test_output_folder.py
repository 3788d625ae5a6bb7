"""The output folder: nothing of value is lost, whatever happens."""

import json
import os
from pathlib import Path

import pytest

from gammax.analysis._folder import check_folder, staged
from gammax.errors import FileFormatError, ResourceError


def write_run(folder, text, *names):
    with staged(folder) as place:
        for name in names:
            path = place / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        (place / "summary.json").write_text(summary(*names))


def summary(*names):
    return json.dumps({"files": [*names, "summary.json"]})


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
    assert tree(out) == {
        "notes.txt": "mine",
        "figures/new.png": "new",
        "summary.json": summary("figures/new.png"),
    }


def test_files_of_the_user_inside_product_folders_stay(tmp_path):
    out = tmp_path / "out"
    write_run(out, "old", "figures/old.png", "datasets/datasets.yaml")
    for name in ("figures/mine.png", "datasets/deep/mine.fits"):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("mine")
    # a run without figures
    write_run(out, "new", "datasets/datasets.yaml")
    expected = {"figures/mine.png": "mine", "datasets/deep/mine.fits": "mine", "datasets/datasets.yaml": "new"}
    assert tree(out) == {**expected, "summary.json": summary("datasets/datasets.yaml")}
    # nothing is known to be a run's where the summary is damaged
    (out / "summary.json").write_text("{")
    write_run(out, "newer", "report.html")
    assert tree(out) == {**expected, "report.html": "newer", "summary.json": summary("report.html")}


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


FAULTS = [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", range(1, 9))
def test_publishing_that_stops_anywhere_is_undone(tmp_path, monkeypatch, fault, when, step):
    out = tmp_path / "out"
    write_run(out, "old", "config.yaml", "figures/old.png", "report.html")
    (out / "figures" / "mine.png").write_text("mine")
    before, rename, calls = tree(tmp_path), os.rename, []

    def stop(source, target):
        calls.append(source)
        if len(calls) == step and when == "before":
            raise fault
        rename(source, target)
        if len(calls) == step:
            raise fault

    monkeypatch.setattr(os, "rename", stop)
    with pytest.raises(ResourceError if isinstance(fault, OSError) else type(fault)):
        write_run(out, "new", "config.yaml", "report.html")
    assert len(calls) >= step
    assert tree(tmp_path) == before


def test_results_that_cannot_be_put_back_are_kept_and_named(tmp_path, monkeypatch, caplog):
    out, rename, calls = tmp_path / "out", os.rename, []
    write_run(out, "old", "config.yaml", "report.html")

    def broken(source, target):
        calls.append(source)
        if len(calls) > 2:
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "rename", broken)
    with pytest.raises(ResourceError, match="Input/output"):
        write_run(out, "new", "config.yaml")
    (kept,) = (path for path in out.rglob("config.yaml") if path.parent.name == "old")
    assert kept.read_text() == "old"
    assert str(kept.parent.parent) in caplog.text


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="a folder in which nobody can write")
def test_a_place_that_refuses_is_seen_before_the_run(tmp_path):
    with pytest.raises(ResourceError, match="GX-ANALYSIS-043"):
        check_folder(Path("/proc/gammax/out"), overwrite=False)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ResourceError, match="GX-ANALYSIS-043"):
        check_folder(tmp_path / "link", overwrite=False)
    check_folder(tmp_path / "deep" / "out", overwrite=False)
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


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
