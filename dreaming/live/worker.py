"""The process that paints: ``python -m dreaming.live.worker CLIP LAYER`` answers each picture of its input with one.

JSON messages between them are ``{"state": "ready"}`` once, ``{"state": "replaced"}`` after another training, and
``{"error": SENTENCE}``, after which it ends. It also ends with its input.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

from dreaming.clip.clip import Clip
from dreaming.live.messages import from_picture, read_message, to_json, to_picture


def main() -> None:
    """Run until the input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no answer

    def send(message: bytes) -> None:
        rest = memoryview(message)
        while rest:
            rest = rest[answers.write(rest) :]

    with suppress(BrokenPipeError):
        try:
            from dreaming.live.style import LiveStyle

            clip, layer = Clip(Path(sys.argv[1])), sys.argv[2]
            style = LiveStyle(clip, layer)
            send(to_json({"state": "ready"}))
            while (message := read_message(sys.stdin.buffer)) is not None:
                if style.is_outdated:
                    style = LiveStyle(clip, layer)
                    send(to_json({"state": "replaced"}))
                send(to_picture(style.stylise(from_picture(message))))
        except BrokenPipeError:
            raise
        except Exception as error:  # the page shows whatever it is
            send(to_json({"error": str(error) or type(error).__name__}))


if __name__ == "__main__":
    main()
