"""Interruption by Ctrl-C or SIGTERM: at once, or where a training has saved its state; a second signal ends at once."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)

WAITS = b"\ndreaming: saving the training; press Ctrl-C again to end at once\n"

_received: signal.Signals | None = None
_is_deferred = False


class Terminated(KeyboardInterrupt):
    """SIGTERM; libraries treat it like Ctrl-C."""


def install() -> None:
    """Handle the signals in this process, if this is its main thread; a signal that was received is forgotten."""
    global _received
    _received = None
    sys.unraisablehook = _repeat_swallowed
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            signal.signal(number, _handle)


def defer() -> None:
    """From now on let the first signal only be noted; for a training, which may also run in a process of its own."""
    global _is_deferred, _received
    if not _is_deferred:
        _received = None
    _is_deferred = True
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            signal.signal(number, _handle)


@contextmanager
def deferrable() -> Iterator[None]:
    """Let signals interrupt again after the block, as before it, whether ``defer`` was called inside or not."""
    global _is_deferred
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)
        _is_deferred = False


def is_pending() -> bool:
    """Whether a signal was received."""
    return _received is not None


def is_ending() -> bool:
    """Whether a signal was received that interrupts the main thread, rather than being deferred."""
    return is_pending() and not _is_deferred


def check() -> None:
    """Raise the interruption that was deferred, if there is one.

    Raises:
        KeyboardInterrupt: After Ctrl-C.
        Terminated: After SIGTERM.
    """
    if _received is not None:
        raise Terminated if _received is signal.SIGTERM else KeyboardInterrupt


def _repeat_swallowed(unraisable: Any) -> None:
    """Repeat a signal whose exception Python has ignored, because it came in a finaliser."""
    global _received
    number = _received
    if number is None or not isinstance(unraisable.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
        return
    _received = None
    threading.Timer(0.05, signal.pthread_kill, (threading.main_thread().ident, number)).start()


def _handle(number: int, frame: FrameType | None) -> None:
    global _received
    if _received is not None:
        if number == signal.SIGTERM and multiprocessing.parent_process() is not None:
            return  # the first one has reached a whole process group, of which the parent ends its children again
        if sys.stderr.isatty():
            os.write(2, b"\x1b[?25h\n")  # a progress bar hides the cursor
        os._exit(128 + number)
    _received = signal.Signals(number)
    if not _is_deferred:
        check()
    os.write(2, WAITS)  # no logging in a signal handler
