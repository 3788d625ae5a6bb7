"""The cache of compiled programs: kept between processes, by machine, and never trusted where it is damaged."""

import subprocess
import sys

import pytest

from gammax._cache import enable_cache
from gammax.errors import ResourceError

PROGRAM = """
import sys, jax, jax.numpy as jnp, gammax
gammax.enable_x64()
folder = gammax.enable_cache(sys.argv[1])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
hits = []
jax.monitoring.register_event_listener(lambda name, **_: hits.append(name.endswith("cache_hits")))
print(float(jax.jit(lambda x: jnp.sin(x) ** 2 + jnp.cos(x) ** 2)(0.3)), sum(hits), folder)
"""


def run(folder):
    """Result, number of programs that came from the cache, folder of this machine, and what was warned."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, folder], capture_output=True, text=True, check=True)
    value, hits, where = done.stdout.split()
    return float(value), int(hits), where, done.stderr


def test_programs_are_kept_and_damage_is_found(tmp_path):
    first = run(tmp_path / "cache")
    assert first[:2] == (1.0, 0)
    value, hits, where, said = run(tmp_path / "cache")
    assert value == 1.0
    assert hits > 0
    assert where == first[2]
    assert said == ""
    for path in (tmp_path / "cache").glob("*/*-cache"):
        damaged = bytearray(path.read_bytes())
        damaged[len(damaged) // 2] ^= 4
        path.write_bytes(damaged)
    value, hits, where, said = run(tmp_path / "cache")
    assert (value, hits) == (1.0, 0)
    assert "damaged programs were dropped" in said
    # what was made in their place is as good as any
    value, hits, where, said = run(tmp_path / "cache")
    assert (value, said) == (1.0, "")
    assert hits > 0
    assert [path for path in (tmp_path / "cache").glob("*/*") if path.is_dir()] == []


def test_programs_of_a_process_that_was_killed_are_not_kept(tmp_path):
    killed = PROGRAM + "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"
    subprocess.run([sys.executable, "-c", killed, tmp_path], capture_output=True, check=False)
    assert run(tmp_path)[:2] == (1.0, 0)
    assert len(list(tmp_path.glob("*/process-*"))) == 0


def test_a_place_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="GX-CACHE-001"):
        enable_cache(tmp_path / "file")
