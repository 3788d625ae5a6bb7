"""Finished chunks of a batch on disk: a file that only grows, whose torn end is thrown away.

    first line: JSON with the fingerprint of the batch, its numbers of fits, fits in a chunk and parameters
    records: mark (4 bytes), chunk (u4), length (u8), the arrays of `Solved` one after another, warnings of the members
        as JSON, SHA-256 of all that

Every record is on the disk before the next chunk is begun. What was killed goes on behind the last whole record.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import struct
import time
import warnings
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import version
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import gammax
from gammax._paths import resolve_path
from gammax.errors import FitError, GammaxWarning, ResourceError
from gammax.fit.batches._identity import describe
from gammax.fit.batches._many import Solved

_MARK, _HEAD = b"gxfc", struct.Struct("<4sIQ")
_DIGEST = hashlib.sha256().digest_size
_KIND, _LONGEST_LINE = "gammax sweep 2", 10_000
# an interrupted batch of the same process may still be at its last chunk
_PATIENCE_S = 10.0


class Finished(NamedTuple):
    """Minima of a chunk, and the warnings of each of its members where they do not follow from the minima."""

    solved: Solved
    warnings: tuple[tuple[str, ...], ...] = ()


class SweepFile:
    """File of a batch, open for one process.

    Raises
    ------
    FitError : the file is no sweep, or one of another batch, or another process works on it.
    ResourceError : it cannot be written.
    """

    def __init__(self, path: str | Path, fingerprint: str, number: int, chunk: int, size: int):
        self._path, self._number, self._chunk, self._size = resolve_path(path), number, chunk, size
        self._header = {"kind": _KIND, "batch": fingerprint, "fits": number, "chunk": chunk, "parameters": size}

    def __enter__(self) -> SweepFile:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self._opened()
        except OSError as error:
            raise ResourceError("GX-FIT-311", f"cannot open: {error.strerror}", file=self._path) from error
        try:
            _lock(self._stream, self._path)
            self._begin(json.dumps(self._header).encode() + b"\n")
        except BaseException:
            self._stream.close()
            raise
        return self

    def _opened(self) -> FileIO:
        # not "a": what is torn is cut off; unbuffered: what could not be written is not tried again at the end
        return FileIO(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666), "r+")

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def _begin(self, line: bytes) -> None:
        """Go behind the first line, which is checked, or written where it is not whole yet."""
        found = self._stream.readline(_LONGEST_LINE)
        if found != line and line.startswith(found):
            self._write(line, 0)
            _keep_name(self._path.parent)
        elif found != line:
            self._refuse(found)
        self._first = len(line)

    def _refuse(self, line: bytes) -> None:
        try:
            found: dict[str, Any] = json.loads(line)
        except ValueError:
            found = {}
        if not isinstance(found, dict) or found.get("kind") != _KIND:
            raise FitError("GX-FIT-312", "the file holds no batch of fits", file=self._path, do="give another path")
        different = [name for name, value in self._header.items() if found.get(name) != value]
        raise FitError(
            "GX-FIT-313",
            "the file belongs to a batch of other data, models, settings or versions",
            file=self._path,
            found={name: found.get(name) for name in different},
            expected={name: self._header[name] for name in different},
            do="give another path, or delete the file",
        )

    def read(self) -> dict[int, Finished]:
        """Finished chunks; damaged ones are left out, and what is torn behind the last good one is cut off, with a
        warning."""
        parts: dict[int, Finished] = {}
        self._stream.seek(self._first)
        good, damaged, last = self._first, set[int](), set[int]()
        while (record := self._record()) is not None:
            index, finished = record
            if finished is None:
                last.add(index)
                continue
            parts[index], good, damaged, last = finished, self._stream.tell(), damaged | last, set()
        if lost := damaged - parts.keys():
            warnings.warn(
                f"{self._path} is damaged: {len(lost)} chunks in it are made again, {len(parts)} are kept",
                GammaxWarning,
                stacklevel=2,
            )
        torn = self._stream.seek(0, os.SEEK_END) - good
        if torn:
            self._stream.truncate(good)
            warnings.warn(
                f"{self._path} is torn: {torn} bytes at its end are thrown away, {len(parts)} chunks are kept",
                GammaxWarning,
                stacklevel=2,
            )
        self._stream.seek(good)
        return parts

    def append(self, index: int, finished: Finished) -> None:
        """Write a chunk; it is on the disk when this returns.

        Raises
        ------
        ResourceError : it cannot be written; what was there is still good.
        """
        parts = zip(finished.solved, _layout(self._size), strict=True)
        payload = b"".join(np.ascontiguousarray(part, dtype=kind).tobytes() for part, (kind, _) in parts)
        payload += json.dumps(finished.warnings).encode()
        record = _HEAD.pack(_MARK, index, len(payload)) + payload
        self._write(record + hashlib.sha256(record).digest(), self._stream.tell())

    def _write(self, content: bytes, place: int) -> None:
        try:
            self._stream.seek(place)
            rest = memoryview(content)
            while rest:
                # a nearly full disk takes some of it, and tells the next time
                rest = rest[self._stream.write(rest) :]
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise ResourceError("GX-FIT-311", f"cannot write: {error.strerror}", file=self._path) from error

    def _record(self) -> tuple[int, Finished | None] | None:
        """Next chunk, without its content where that is damaged; None where there is no whole one."""
        head = self._stream.read(_HEAD.size)
        if len(head) < _HEAD.size:
            return None
        mark, index, length = _HEAD.unpack(head)
        rows = min(self._chunk, self._number - index * self._chunk)
        layout = _layout(self._size)
        sizes = [rows * int(np.prod(shape)) * np.dtype(kind).itemsize for kind, shape in layout]
        left = os.fstat(self._stream.fileno()).st_size - self._stream.tell()
        if mark != _MARK or rows <= 0 or not sum(sizes) <= length <= left - _DIGEST:
            return None
        payload, digest = self._stream.read(length), self._stream.read(_DIGEST)
        if hashlib.sha256(head + payload).digest() != digest:
            return index, None
        ends = np.cumsum(sizes)
        arrays = [
            np.frombuffer(payload[end - size : end], kind).reshape(rows, *shape)
            for (kind, shape), size, end in zip(layout, sizes, ends, strict=True)
        ]
        said = json.loads(payload[ends[-1] :])
        return index, Finished(Solved(*arrays), tuple(map(tuple, said)))


def _layout(size: int) -> list[tuple[str, tuple[int, ...]]]:
    """Type and shape of a member's row in every array of `Solved`."""
    row, square, number = (size,), (size, size), ()
    kinds = {
        "theta": ("<f8", row),
        "gradient": ("<f8", row),
        "converged": ("?", number),
        "active": ("?", row),
        "covariance": ("<f8", square),
        "n_steps": ("<i8", number),
        "flatness": ("<f8", row),
        "directions": ("<f8", square),
        "emptied": ("<i8", number),
    }
    return [kinds.get(name, ("<f8", number)) for name in Solved._fields]


def digest_of(settings: Any, trees: Iterable[Any]) -> str:
    """Digest of settings, of the structure, the code and the arrays of trees, and of the versions that compute.

    Raises
    ------
    FitError : trees with an object that cannot be told from others of its kind.
    """
    versions = gammax.__version__, jax.__version__, version("jaxlib"), np.__version__, platform.machine()
    digest = hashlib.sha256(repr((versions, jax.default_backend(), settings)).encode())
    for tree in trees:
        for part in (jax.tree.structure(tree), *jax.tree.leaves(tree)):
            digest.update(describe(part))
    return digest.hexdigest()


def _lock(stream: FileIO, path: Path) -> None:
    """Keep other processes from writing into the same file, where the system can."""
    try:
        import fcntl
    except ImportError:
        return
    begun = time.monotonic()
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() - begun > _PATIENCE_S:
                busy = "another process, or an interrupted batch of this one, works on this batch"
                raise FitError("GX-FIT-314", busy, file=path) from error
            time.sleep(0.05)
        except OSError:
            # a file system without locks
            return


def _keep_name(folder: Path) -> None:
    """Put the name of a new file on the disk, too, where the system can."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
