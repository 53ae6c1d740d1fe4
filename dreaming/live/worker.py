"""The process that paints: ``python -m dreaming.live.worker CLIP LAYER`` answers each picture of its input with one.

JSON messages between them are ``{"state": "ready"}`` once, ``{"state": "replaced"}`` after another training, and
``{"error": SENTENCE}``, after which it ends. It also ends with its input.
"""

import os
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TypeAlias

from dreaming.clip.clip import Clip
from dreaming.live.messages import from_picture, read_message, to_json, to_picture

AT_ONCE = 2
"""Pictures painted at once, with a share of the threads each, which paints more of them than all threads on one."""

Answers: TypeAlias = SimpleQueue[Future[bytes] | None]


def main() -> None:
    """Run until the input ends."""
    stream = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no answer
    answers: Answers = SimpleQueue()
    # It may wait for a picture when an answer is an error; as a daemon it does not keep the process from ending.
    Thread(target=_paint, args=(Path(sys.argv[1]), sys.argv[2], answers), daemon=True).start()
    with suppress(BrokenPipeError):
        while (answer := answers.get()) is not None:
            problem = answer.exception()
            message = answer.result() if problem is None else to_json({"error": str(problem) or type(problem).__name__})
            rest = memoryview(message)
            while rest:
                rest = rest[stream.write(rest) :]
            if problem is not None:  # whatever it is, the page shows it
                break


def _paint(folder: Path, layer: str, answers: Answers) -> None:
    """Put the answer to each picture of the input, in order; None at the end of the input."""
    try:
        import torch

        from dreaming.live.style import LiveStyle
        from dreaming.training.inference import limit_threads

        clip = Clip(folder)
        style = LiveStyle(clip, layer)

        def answer(message: bytes, style: LiveStyle) -> bytes:
            return to_picture(style.stylise(from_picture(message)))

        share = partial(limit_threads, max(1, torch.get_num_threads() // AT_ONCE))
        # sys.stdin, whose lock this thread would hold, is closed at the end of the process.
        with ThreadPoolExecutor(AT_ONCE, initializer=share) as pool, os.fdopen(os.dup(0), "rb") as pictures:
            answers.put(pool.submit(to_json, {"state": "ready"}))
            while (message := read_message(pictures)) is not None:
                if style.is_outdated:
                    style = LiveStyle(clip, layer)
                    answers.put(pool.submit(to_json, {"state": "replaced"}))
                answers.put(pool.submit(answer, message, style))
        answers.put(None)
    except Exception as error:
        failed = Future[bytes]()
        failed.set_exception(error)
        answers.put(failed)


if __name__ == "__main__":
    main()
