"""Files that are no video, damaged, truncated or unreadable."""

import errno
import os
import re
from pathlib import Path

import av
import numpy as np
import PIL.Image
import pytest
from drawn_video import SCENE, VIDEOS, corners, film, scene, warnings

from dreaming.errors import VideoError
from dreaming.video.reader import probe, read_frames


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(VideoError) as refused:
        probe(tmp_path / "absent.mp4")
    assert refused.value.where == str(tmp_path / "absent.mp4")


@pytest.mark.parametrize("name", ["sound.wav", "sound.mp4", "cover.mp3"])
def test_a_file_without_a_video_stream_is_refused(tmp_path, name):
    path = tmp_path / name
    with av.open(str(path), "w") as output:
        sound = output.add_stream({"wav": "pcm_s16le", "mp4": "aac", "mp3": "libmp3lame"}[path.suffix[1:]], rate=48000)
        if name == "cover.mp3":
            cover = output.add_stream("mjpeg", rate=1)
            cover.width, cover.height, cover.pix_fmt, cover.disposition = 32, 16, "yuvj420p", 1024
            output.mux(cover.encode(av.VideoFrame(32, 16, "yuvj420p")))
            output.mux(cover.encode())
        samples = av.AudioFrame.from_ndarray(np.zeros((2, 24000), np.float32), format="fltp", layout="stereo")
        samples.sample_rate, samples.pts = 48000, 0
        context = sound.codec_context
        for part in av.AudioResampler(context.format, context.layout, 48000, context.frame_size or 1024).resample(
            samples
        ):
            output.mux(sound.encode(part))
        output.mux(sound.encode())
    for read in (probe, lambda path: list(read_frames(path))):
        with pytest.raises(VideoError) as refused:
            read(path)
        assert refused.value.where == str(path)
        assert refused.value.expected == "a video stream"


@pytest.mark.parametrize("content", [b"", b"\0" * 1000, b"once upon a time\n" * 50, bytes(range(256)) * 9])
@pytest.mark.parametrize("suffix", [".mp4", ".txt"])
def test_garbage_is_unreadable(tmp_path, content, suffix):
    path = tmp_path / f"garbage{suffix}"
    path.write_bytes(content)
    for read in (probe, lambda path: list(read_frames(path))):
        with pytest.raises(VideoError) as refused:
            read(path)
        assert refused.value.where == str(path)


@pytest.mark.parametrize("name", ["list.ffconcat", "list.m3u8", "named.mp4"])
def test_a_list_of_other_files_is_refused(tmp_path, name):
    part, path = film(tmp_path / "part.ts"), tmp_path / name
    hls = f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.48,\nfile://{part}\n#EXT-X-ENDLIST\n"
    path.write_text(hls if path.suffix == ".m3u8" else "ffconcat version 1.0\nfile part.ts\n")
    with pytest.raises(VideoError) as refused:
        probe(path)
    assert refused.value.where == str(path)
    assert refused.value.found == "a list of other files"


@pytest.fixture(params=["faststart.mp4", "h264.mkv", "rgb8.gif", "vp9.webm", "mpeg4.avi"])
def truncated(request, tmp_path):
    """Three quarters of a video of 40 key frames, so about 30 frames."""
    name = request.param
    more = {**VIDEOS.get(name, {}), "pts": range(40)}
    more["options"] = {**more.get("options", {}), "g": "1", "bf": "0"} if name != "rgb8.gif" else {}
    path = film(tmp_path / name, **more, muxer={"movflags": "+faststart"} if name == "faststart.mp4" else {})
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    return path


def test_the_error_of_a_truncated_video_counts_its_readable_frames(truncated):
    for read in (probe, lambda path: list(read_frames(path))):
        with pytest.raises(VideoError) as refused:
            read(truncated)
        assert refused.value.where == str(truncated)
        assert 20 <= int(*re.findall(r"\d+", refused.value.found)) <= 36


def test_a_broadcast_cut_inside_a_packet_gives_its_frames_with_a_warning(tmp_path, caplog):
    path = film(tmp_path / "cut.ts", pts=range(10), options={"g": "1", "bf": "0", "crf": "5"})
    path.write_bytes(path.read_bytes()[: 188 * 15 + 50])
    found = list(read_frames(path))
    assert 2 <= len(found) < 10
    assert warnings(caplog)[-1] == (path, len(found))


def test_a_lost_packet_costs_frames_with_a_warning(tmp_path, caplog):
    path = film(tmp_path / "lost.ts", pts=range(30), options={"g": "10", "bf": "0", "crf": "5"})
    data = path.read_bytes()
    path.write_bytes(data[: 188 * 14] + data[188 * 15 :])
    found = list(read_frames(path))
    assert [number for number, _ in found] == list(range(1, len(found) + 1))
    assert 25 < len(found) < 30
    ((where, damaged),) = warnings(caplog)
    assert (where, damaged > 0) == (path, True)


@pytest.mark.parametrize("codec", ["libx264", "ffv1", "mjpeg"])
def test_a_damaged_packet_is_replaced_by_the_frame_before(tmp_path, caplog, codec):
    """Names of later frames must not shift."""
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = film(
        tmp_path / "damaged.mkv", codec, pix_fmt, options={"g": "1", "bf": "0", "crf": "5"}, muxer={"live": "1"}
    )
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][5]
        at, size = path.read_bytes().index(bytes(packet)), packet.size
    data = bytearray(path.read_bytes())
    data[at : at + size] = bytes([255] * size)
    path.write_bytes(data)
    found = dict(read_frames(path))
    assert list(found) == list(range(1, 13))
    assert np.abs(corners(found[7]) - SCENE).max() <= 12
    assert [args[0] for args in warnings(caplog)] == [path]


def test_a_file_without_permission_is_no_damaged_one(tmp_path):
    path = film(tmp_path / "mine.mp4")
    path.chmod(0)
    user = os.geteuid()
    for folder in [tmp_path, *tmp_path.parents]:
        if folder.stat().st_uid == user and folder != Path("/"):
            folder.chmod(0o755)
    try:
        os.seteuid(65534 if user == 0 else user)
        with pytest.raises(VideoError) as refused:
            probe(path)
    finally:
        os.seteuid(user)
    assert refused.value.where == str(path)
    assert os.strerror(errno.EACCES) in refused.value.found


def test_a_folder_and_a_pipe_are_named(tmp_path):
    (tmp_path / "folder.mp4").mkdir()
    os.mkfifo(tmp_path / "pipe.mp4")
    found = set()
    for path in tmp_path.iterdir():
        with pytest.raises(VideoError) as refused:
            probe(path)
        assert refused.value.where == str(path)
        found.add(refused.value.found)
    assert len(found) == 2


def test_an_animated_webp_is_named(tmp_path):
    images = [PIL.Image.fromarray(scene(16, 32, number)) for number in range(3)]
    images[0].save(tmp_path / "a.webp", save_all=True, append_images=images[1:])
    with pytest.raises(VideoError) as refused:
        probe(tmp_path / "a.webp")
    assert "WebP" in refused.value.found


def test_an_mp4_without_its_index_is_unreadable(tmp_path):
    path = film(tmp_path / "plain.mp4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(VideoError) as refused:
        probe(path)
    assert refused.value.where == str(path)
