"""Signals sent to real processes, which import nothing slow."""

import signal
import subprocess
import sys

import pytest

SCRIPT = """
import sys
from dreaming import interruption
interruption.install()
if sys.argv[1] == "deferred":
    interruption.defer()
try:
    print("ready", flush=True)
    sys.stdin.readline()
    print("saving", flush=True)
    sys.stdin.readline()
    interruption.stop_deferring()
    interruption.check()
except interruption.Terminated:
    print("terminated", flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("deferred", [True, False])
@pytest.mark.parametrize("twice", [True, False])
def test_the_first_signal_interrupts_and_the_second_ends_at_once(number, deferred, twice):
    command = [sys.executable, "-c", SCRIPT, "deferred" if deferred else "direct"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True, bufsize=1) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        if deferred:
            process.stdin.write("\n")
        word = "terminated\n" if number is signal.SIGTERM else "interrupted\n"
        assert process.stdout.readline() == ("saving\n" if deferred else word)
        if twice:
            process.send_signal(number)
            assert process.wait(timeout=20) == 128 + number
            return
        rest, _ = process.communicate("\n\n", timeout=20)
    assert (process.returncode, rest) == (0, word if deferred else "")
