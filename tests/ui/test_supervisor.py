"""A supervisor runs one program of a clip at a time, and records its process and exit code."""

import json
import sys

from dreaming.io.locks import try_lock
from dreaming.ui import supervisor


def supervise(monkeypatch, clip, script):
    folder = supervisor.job_folder(clip)
    folder.mkdir(exist_ok=True)
    (folder / supervisor.RECORD).write_text('{"name": "masks", "code": null}')
    monkeypatch.setattr(sys, "argv", ["supervisor", str(clip), sys.executable, "-S", "-c", script])
    monkeypatch.setattr(supervisor, "SIGNALS", ())  # those of the test's own process stay
    supervisor.main()
    return json.loads((folder / supervisor.RECORD).read_text())


def test_output_and_exit_code_are_recorded(monkeypatch, tmp_path):
    record = supervise(monkeypatch, tmp_path, "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert (record["name"], record["code"], type(record["process"])) == ("masks", 3, int)
    assert sorted((supervisor.job_folder(tmp_path) / supervisor.LOG).read_text().split()) == ["err", "out"]


def test_a_second_program_does_not_run(monkeypatch, tmp_path):
    with try_lock(tmp_path, supervisor.LOCK):
        assert supervise(monkeypatch, tmp_path, "raise SystemExit(3)")["code"] is None
