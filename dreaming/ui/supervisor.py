"""The process between the server and a job: it outlives the server, and records how the job ended.

It imports no heavy module, holds the job's lock while the job runs, and passes signals on.
"""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType

from dreaming.interruption import SIGNALS
from dreaming.io.atomic import write_atomically
from dreaming.io.locks import try_lock

LOCK = "job"
"""Name of the lock, in the clip, of its running job."""

LOG, RECORD = "job.log", "job.json"


def job_folder(clip: Path) -> Path:
    """The folder of the records of a clip's last job."""
    return clip / ".ui"


def main() -> None:
    """Run a program: ``python -m dreaming.ui.supervisor CLIP PROGRAM...``."""
    clip, command = Path(sys.argv[1]), sys.argv[2:]
    with try_lock(clip, LOCK) as is_free:
        if is_free:
            _supervise(job_folder(clip), command)


def _supervise(folder: Path, command: list[str]) -> None:
    received: list[int] = []
    process: subprocess.Popen[bytes] | None = None

    def forward(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if process is not None:
            with suppress(ProcessLookupError):
                process.send_signal(number)

    for each in SIGNALS:
        signal.signal(each, forward)
    with (folder / LOG).open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 -- the page composes the command
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
    for number in list(received):
        process.send_signal(number)
    record = {**json.loads((folder / RECORD).read_text()), "process": os.getpid()}
    for code in (lambda: None, process.wait):
        write_atomically(folder / RECORD, json.dumps({**record, "code": code()}).encode())


if __name__ == "__main__":
    main()
