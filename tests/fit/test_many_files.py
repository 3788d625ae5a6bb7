"""A batch on disk: nothing that is finished is lost, and what goes on ends with the same numbers."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from derivatives import toy_spectrum
from gammax.errors import FitError, GammaxWarning, ResourceError
from gammax.fit import fit_many
from gammax.fit.batches._many import Solved
from gammax.fit.batches._store import Finished, SweepFile
from gammax.fit.batches._sweep import Plan, blank, run_plan
from gammax.likelihood import Likelihood
from gammax.models import PowerLawSpectralModel, SkyModel

NUMBER, CHUNK = 11, 3


def solve(rows):
    """Minima that are made of random numbers, the same for the same rows."""
    parts = []
    for name, part in zip(Solved._fields, blank(len(rows), 2), strict=True):
        seeds = [(int(row), Solved._fields.index(name)) for row in rows]
        values = [np.random.default_rng(seed).normal(size=part.shape[1:]) for seed in seeds]
        parts.append(np.array(values).astype(part.dtype))
    return Solved(*parts)


def plan(function=solve, number=NUMBER, chunk=CHUNK):
    return Plan(number, 2, chunk, lambda rows: Finished(function(rows)))


def never(rows):
    raise AssertionError("a finished chunk is made again")


def assert_equal(mine, wanted):
    """Bit for bit."""
    for a, b in zip(mine, wanted, strict=True):
        assert a.dtype == b.dtype
        assert a.tobytes() == b.tobytes()


def interrupted_after(chunks):
    """`solve` that fails after some chunks."""
    done = []

    def function(rows):
        if len(done) == chunks:
            raise RuntimeError("killed")
        done.append(rows)
        return solve(rows)

    return function


def test_what_is_finished_is_read_back(tmp_path):
    wanted, done, _ = run_plan(plan())
    assert done.all()
    assert_equal(run_plan(plan(), tmp_path / "batch", "mark")[0], wanted)
    assert_equal(run_plan(plan(never), tmp_path / "batch", "mark")[0], wanted)


def test_warnings_are_read_back(tmp_path):
    def warned(rows):
        return Finished(solve(rows), tuple((f"of {row}: -2 \u0394", "two") if row % 2 else () for row in rows))

    wanted = run_plan(Plan(NUMBER, 2, CHUNK, warned), tmp_path / "batch", "mark")
    again = run_plan(plan(never), tmp_path / "batch", "mark")
    assert again.warnings == wanted.warnings
    assert again.warnings[3] == ("of 3: -2 \u0394", "two")
    assert_equal(again.solved, wanted.solved)


def test_what_could_not_be_made_is_tried_again(tmp_path):
    """It is not in the file, and what comes behind it is."""
    missing = Plan(NUMBER, 2, CHUNK, lambda rows: None if rows[0] == CHUNK else Finished(solve(rows)))
    swept = run_plan(missing, tmp_path / "batch", "mark")
    np.testing.assert_array_equal(~swept.done, np.arange(NUMBER) // CHUNK == 1)
    made = []

    def counted(rows):
        made.append(rows[0])
        return solve(rows)

    again = run_plan(plan(counted), tmp_path / "batch", "mark")
    assert made == [CHUNK]
    assert_equal(again.solved, run_plan(plan())[0])


@pytest.mark.parametrize("chunks", [0, 1, 3])
def test_a_batch_goes_on(tmp_path, chunks):
    path = tmp_path / "batch"
    with pytest.raises(RuntimeError, match="killed"):
        run_plan(plan(interrupted_after(chunks)), path, "mark")
    made = []

    def counted(rows):
        made.append(rows[0])
        return solve(rows)

    assert_equal(run_plan(plan(counted), path, "mark")[0], run_plan(plan())[0])
    assert made == list(range(chunks * CHUNK, NUMBER, CHUNK))


@pytest.mark.parametrize("keep", ["no byte", "half a head", "half a record", "all but a byte"])
def test_a_torn_end_is_thrown_away(tmp_path, keep):
    path = tmp_path / "batch"
    run_plan(plan(), path, "mark")
    content, short = path.read_bytes(), tmp_path / "short"
    with pytest.raises(RuntimeError, match="killed"):
        run_plan(plan(interrupted_after(2)), short, "mark")
    whole, record = short.stat().st_size, path.stat().st_size - short.stat().st_size
    end = {"no byte": 0, "half a head": 7, "half a record": record // 3, "all but a byte": record // 2 - 1}
    torn = content[: whole + end[keep]]
    path.write_bytes(torn)
    wanted = run_plan(plan())[0]
    if keep == "no byte":
        assert_equal(run_plan(plan(), path, "mark")[0], wanted)
        return
    with pytest.warns(GammaxWarning, match=rf" {len(torn) - whole} bytes at its end .* 2 chunks are kept"):
        again = run_plan(plan(), path, "mark")[0]
    assert_equal(again, wanted)
    assert_equal(run_plan(plan(never), path, "mark")[0], wanted)


def test_a_wrong_byte_costs_one_chunk(tmp_path):
    """What is good behind it is kept."""
    path = tmp_path / "batch"
    wanted = run_plan(plan(), path, "mark")[0]
    content = bytearray(path.read_bytes())
    content[content.index(b"\n") + 60] ^= 1
    path.write_bytes(content)
    made = []

    def counted(rows):
        made.append(rows[0])
        return solve(rows)

    with pytest.warns(GammaxWarning, match="1 chunks in it are made again, 3 are kept"):
        assert_equal(run_plan(plan(counted), path, "mark")[0], wanted)
    assert made == [0]
    assert_equal(run_plan(plan(never), path, "mark")[0], wanted)


def test_another_batch_is_refused(tmp_path):
    path = tmp_path / "batch"
    run_plan(plan(), path, "mark")
    before = path.read_bytes()
    for other, mark in ((plan(), "other"), (plan(number=12), "mark"), (plan(chunk=4), "mark")):
        with pytest.raises(FitError) as raised:
            run_plan(other, path, mark)
        assert raised.value.code == "GX-FIT-313"
    assert path.read_bytes() == before
    path.write_bytes(b"something else\n")
    with pytest.raises(FitError) as raised:
        run_plan(plan(), path, "mark")
    assert raised.value.code == "GX-FIT-312"
    assert path.read_bytes() == b"something else\n"


@pytest.mark.parametrize("length", [0, 1, 50])
def test_a_torn_first_line_is_written_again(tmp_path, length):
    wanted = run_plan(plan(), tmp_path / "whole", "mark")[0]
    content = (tmp_path / "whole").read_bytes()
    (tmp_path / "torn").write_bytes(content[:length])
    assert_equal(run_plan(plan(), tmp_path / "torn", "mark")[0], wanted)
    assert (tmp_path / "torn").read_bytes() == content


def test_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "batch"):
        with pytest.raises(ResourceError) as raised:
            run_plan(plan(), path, "mark")
        assert raised.value.code == "GX-FIT-311"


def test_one_at_a_time(tmp_path, monkeypatch):
    pytest.importorskip("fcntl")
    monkeypatch.setattr("gammax.fit.batches._store._PATIENCE_S", 0.1)
    with SweepFile(tmp_path / "batch", "mark", NUMBER, CHUNK, 2), pytest.raises(FitError) as raised:
        run_plan(plan(), tmp_path / "batch", "mark")
    assert raised.value.code == "GX-FIT-314"


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    """Network drives: the batch goes on without a lock."""
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert_equal(run_plan(plan(), tmp_path / "batch", "mark")[0], run_plan(plan())[0])


def test_a_full_disk_is_our_own_error():
    """Also when the file is closed, where a buffer would be written once more."""
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no device that is always full")
    file = SweepFile(full, "mark", NUMBER, CHUNK, 2)
    with pytest.raises(ResourceError) as raised, file._opened() as file._stream:
        file._write(b"something", 0)
    assert raised.value.code == "GX-FIT-311"


def make(flux=2e-12, index=2.0):
    model = SkyModel(PowerLawSpectralModel(index=index, amplitude="1e-12 TeV-1 s-1 cm-2"), name="x")
    likelihood = Likelihood([toy_spectrum("cash", flux=flux)], model)
    counts = np.random.default_rng(3).poisson(20.0, (10, 9)).astype(float)
    return likelihood, counts


def test_the_file_knows_data_models_and_settings(tmp_path):
    """Another count, start value, exposure, bound or tolerance is another batch."""
    likelihood, counts = make()
    path = tmp_path / "batch"
    first = fit_many(likelihood, {"toy": counts}, path=path, chunk=4)
    again = fit_many(make()[0], {"toy": counts.copy()}, path=path, chunk=4)
    np.testing.assert_array_equal(first.values, again.values)
    np.testing.assert_array_equal(first.covariance, again.covariance)
    assert list(again.status) == list(first.status)
    other = counts.copy()
    other[9, 8] += 1
    changes = (
        (likelihood, other, {}),
        (make(index=2.1)[0], counts, {}),
        (likelihood, counts, {"held": {"x.spectral.index": 2.0}}),
        (likelihood, counts, {"tolerance": 1e-9}),
    )
    for changed, data, options in changes:
        with pytest.raises(FitError) as raised:
            fit_many(changed, {"toy": data}, path=path, chunk=4, **options)
        assert raised.value.code == "GX-FIT-313"


@pytest.mark.slow
def test_hundred_kills(tmp_path):
    """kill -9 at 100 random moments: no finished chunk is lost, and every file ends as that of a batch in peace."""
    script = Path(__file__).parent / "killed_batches.py"
    command = [sys.executable, "-W", "ignore", str(script), str(tmp_path), "100"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["kills"] == 100
    assert found["lost"] == 0
    assert found["finished"] == found["equal"] > 0
    # moments that were spread over the whole batch
    assert len(set(found["chunks at the kill"])) > 20
