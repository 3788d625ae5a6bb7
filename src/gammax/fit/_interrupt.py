"""Ctrl-C in a long computation: the main thread waits for a helper, and leaves it when the signal comes.

Python hears a signal in its main thread, between two lines of Python: never while XLA compiles or computes there. So a
helper thread computes. What it has found so far it shows to its `Watch`, and it ends at the next look after the signal;
a compilation that has begun goes on to its end in the background.
"""

from __future__ import annotations

import atexit
import contextvars
import threading
from collections.abc import Callable
from contextlib import ExitStack
from queue import SimpleQueue
from typing import Any, TypeVar

import jax

T = TypeVar("T")

_NAP_S = 0.1


class Stopped(Exception):
    """Raised in the helper when nobody waits for it any more; never leaves this file."""


class Watch:
    """What a computation shows while it goes on, and how it learns that it may stop.

    Attributes
    ----------
    best : what was shown last, None at the start.
    """

    def __init__(self) -> None:
        self.best: Any = None
        self._stop = threading.Event()

    def show(self, best: Any) -> None:
        """Remember the best so far; ends the computation if it has been interrupted."""
        self.best = best
        self.look()

    def look(self) -> None:
        """End the computation if it has been interrupted."""
        if self._stop.is_set():
            raise Stopped

    def stop(self) -> None:
        """Have the computation end at its next look."""
        self._stop.set()


def interruptible(work: Callable[[Watch], T], rescue: Callable[[Any], T]) -> T:
    """`work(watch)`; if Ctrl-C comes first, at once `rescue(watch.best)`, where the helper may still be busy.

    Other threads than the main one hear no signal: there `work` runs as it is. Errors of `work` are raised here.
    """
    watch = Watch()
    if threading.current_thread() is not threading.main_thread():
        return work(watch)
    job = _Job(work, watch)
    try:
        _helper().jobs.put(job)
        # where the system gives the signal to another thread, this one hears of it when it wakes
        while not job.done.acquire(timeout=_NAP_S):
            pass
    except KeyboardInterrupt:
        watch.stop()
        _retire()
        return rescue(watch.best)
    except BaseException:
        # a time-out or an end of the program from a signal handler: nobody waits for the job any more
        watch.stop()
        _retire()
        raise
    return job.outcome()


class _Job:
    """A computation for the helper, in the numpy and JAX settings of who waits for it."""

    def __init__(self, work: Callable[[Watch], Any], watch: Watch):
        self._work, self._watch = work, watch
        self._context, self._settings = contextvars.copy_context(), _settings()
        self.done = threading.Lock()
        self.done.acquire()

    def do(self) -> None:
        try:
            with ExitStack() as stack:
                for setting, here, there in zip(_CONTEXTS.values(), _settings(), self._settings, strict=True):
                    if here != there:
                        stack.enter_context(setting(there))
                self._answer, self._error = self._context.run(self._work, self._watch), None
        except BaseException as error:
            self._answer, self._error = None, error
        self.done.release()

    def outcome(self) -> Any:
        try:
            if self._error is not None:
                raise self._error
            return self._answer
        finally:
            # an error knows the frames it came through, and they know the job
            self._error = None


# settings of JAX that a `with` statement changes for its own thread alone
_CONTEXTS: dict[str, Callable[[Any], Any]] = {
    "jax_enable_x64": jax.enable_x64,
    "jax_default_device": jax.default_device,
    "jax_default_matmul_precision": jax.default_matmul_precision,
    "jax_disable_jit": jax.disable_jit,
    "jax_debug_nans": jax.debug_nans,
    "jax_debug_infs": jax.debug_infs,
    "jax_log_compiles": jax.log_compiles,
}


def _settings() -> tuple[Any, ...]:
    return tuple(getattr(jax.config, name) for name in _CONTEXTS)


class _Helper(threading.Thread):
    """Does one job after another: a new thread for each fit would cost a fit of a spectrum 3 % of its time."""

    def __init__(self) -> None:
        super().__init__(name="gammax", daemon=True)
        self.jobs: SimpleQueue[_Job | None] = SimpleQueue()

    def run(self) -> None:
        while (job := self.jobs.get()) is not None:
            job.do()


_helpers: list[_Helper] = []
# bytes: some systems give threads other than the main one too little for compilers
_STACK = 64 << 20


def _helper() -> _Helper:
    # a fork takes no thread along
    if not _helpers or not _helpers[-1].is_alive():
        _helpers[:] = [_Helper()]
        others = threading.stack_size(_STACK)
        _helpers[-1].start()
        threading.stack_size(others)
    return _helpers[-1]


def _retire() -> None:
    """Leave the helper to end what it is at; the process waits for it when it ends, as XLA cannot be torn down under a
    compilation."""
    while _helpers:
        helper = _helpers.pop()
        helper.jobs.put(None)
        atexit.register(helper.join)
