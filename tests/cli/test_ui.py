"""The program ``dreaming-ui`` opens a clip folder, or makes one for a video."""

import json
import signal
import subprocess
import sys
import urllib.request

import pytest

from dreaming import __version__
from dreaming.cli import ui
from dreaming.cli.ui import find_clip, main
from dreaming.errors import ClipError, VideoError


def test_a_clip_folder_is_opened(disc_clip):
    drawing = disc_clip()
    assert find_clip(drawing.path) == (drawing.path, None)


def test_a_video_gets_a_clip_folder_in_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    video = tmp_path / "dancer.mp4"
    video.write_bytes(b"video")
    folder, found = find_clip(video)
    assert (folder.as_posix(), found) == ("clips/dancer", video)
    assert not (tmp_path / "clips").exists()


@pytest.mark.parametrize(("recorded", "accepted"), [("dancer.mp4", True), ("other.mp4", False), (None, False)])
def test_the_clip_folder_of_another_video_is_refused(disc_clip, tmp_path, monkeypatch, recorded, accepted):
    (tmp_path / "clips").mkdir()
    drawing = disc_clip("clips/dancer")
    monkeypatch.chdir(tmp_path)
    video = tmp_path / "dancer.mp4"
    video.write_bytes(b"video")
    if recorded:
        (drawing.path / "source.json").write_text(json.dumps({"path": str(tmp_path / recorded)}))
    if accepted:
        assert find_clip(video)[1] == video
        return
    with pytest.raises(ClipError):
        find_clip(video)


def test_other_paths_are_refused(tmp_path):
    with pytest.raises(ClipError):
        find_clip(tmp_path)
    with pytest.raises(VideoError):
        find_clip(tmp_path / "none.mp4")


@pytest.mark.parametrize("arguments", [["none.mp4"], [".", "--port", "70000"], ["--port", "x"], ["a", "b"]])
def test_mistakes_are_a_sentence_and_exit_code_2(tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["dreaming-ui", *arguments])
    with pytest.raises(SystemExit) as error:
        main()
    assert error.value.code == ui.USER_ERROR
    assert "Traceback" not in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_version_is_that_of_the_package(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["dreaming-ui", "--version"])
    with pytest.raises(SystemExit) as error:
        main()
    assert error.value.code == 0
    assert capsys.readouterr().out == f"dreaming {__version__}\n"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT between processes")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_printed_address_is_served_until_the_program_is_interrupted(disc_clip, number):
    command = [sys.executable, "-c", "from dreaming.cli.ui import main; main()", "--no-browser", str(disc_clip().path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        address = process.stdout.readline().strip()
        with urllib.request.urlopen(f"{address}api/clip") as response:  # noqa: S310 -- the address is local
            assert len(json.load(response)["frames"]) == 8
        process.send_signal(number)
        assert process.communicate()[1] == ""
    assert process.returncode == 0
