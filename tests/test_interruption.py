"""Signals sent to real processes, which import nothing slow."""

import signal
import subprocess
import sys

import pytest

SCRIPT = """
import sys
from dreaming import interruption
interruption.install()
try:
    with interruption.deferrable():
        if sys.argv[1] == "deferred":
            interruption.defer()
        print("ready", flush=True)
        sys.stdin.readline()
        print("saving", flush=True)
        sys.stdin.readline()
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


FINALISER = """
import os, signal
from dreaming import interruption
class Closing:
    def __del__(self):
        os.kill(os.getpid(), signal.Signals[NAME])
        for _ in range(1000):
            pass
interruption.install()
try:
    Closing()
    while True:
        signal.pause()
except interruption.Terminated:
    print("SIGTERM")
except KeyboardInterrupt:
    print("SIGINT")
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_in_a_finaliser_is_not_lost(name):
    command = [sys.executable, "-c", f"NAME = {name!r}{FINALISER}"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{name}\n", "")


GROUP = """
import multiprocessing, os, signal, time
from dreaming import interruption
def save(ready, saved):
    interruption.defer()
    ready.set()
    while not interruption.is_pending():
        time.sleep(0.01)
    time.sleep(0.3)
    saved.set()
if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    ready, saved = context.Event(), context.Event()
    child = context.Process(target=save, args=(ready, saved))
    child.start()
    ready.wait()
    os.kill(child.pid, signal.SIGNAL)
    time.sleep(0.1)
    child.terminate()
    child.join()
    print(saved.is_set(), child.exitcode)
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_child_saves_though_its_parent_ends_it_after_a_signal_to_both(name):
    command = [sys.executable, "-c", GROUP.replace("SIGNAL", name)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert ended.stdout == "True 0\n", ended.stderr
