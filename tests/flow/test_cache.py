"""The kept flow: what is read is what was computed, nothing is made twice, and nothing damaged or stale is used."""

import gc
import logging
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.io.manifest import Manifest


def files(drawing):
    return {path.name: path.read_bytes() for path in (drawing.path / "flow").glob("*.npz")}


@pytest.fixture
def drawing(disc_clip):
    return disc_clip(count=6, size=(40, 56), masks=(), keyframes=())


def test_what_is_read_is_what_was_computed_to_a_64th_of_a_pixel(drawing):
    cache, dis = FlowCache(drawing.clip, DisFlow()), DisFlow()
    cache.complete()
    one, other = (dis.prepare(drawing.images[stem]) for stem in ("0002", "0003"))
    there, back = cache.both_ways("0002", "0003")
    assert there.dtype == np.float32
    assert there.shape == (20, 28, 2)
    np.testing.assert_allclose(there, dis.between(one, other), atol=1 / 64 + 1e-3)
    np.testing.assert_allclose(back, dis.between(other, one), atol=1 / 64 + 1e-3)
    np.testing.assert_array_equal(cache.both_ways("0003", "0002")[0], back)
    full = cache.between("0002", "0003")
    assert full.shape == (40, 56, 2)
    np.testing.assert_allclose(full.mean((0, 1)), 2 * there.mean((0, 1)), atol=0.05)


def test_threads_and_shares_make_the_same_bytes(drawing, disc_clip):
    FlowCache(drawing.clip, DisFlow()).complete(workers=3)
    other = disc_clip("other", count=6, size=(40, 56), masks=(), keyframes=())
    cache = FlowCache(other.clip, DisFlow())
    for share in (1, 0):
        cache.complete(cache.pairs[share::2], workers=1, share=f"{share}-of-2")
    assert sorted(files(drawing)) == [f"{stem}.npz" for stem in drawing.stems[:-1]]
    assert files(drawing) == files(other)
    record = Manifest.read(other.path / "flow/manifest.json")
    assert record.frames == 5
    assert record == Manifest.read(drawing.path / "flow/manifest.json")


def test_only_what_is_missing_is_made(drawing, caplog):
    cache = FlowCache(drawing.clip, DisFlow())
    cache.complete()
    whole, times = files(drawing), {p.name: p.stat().st_mtime_ns for p in (drawing.path / "flow").glob("*.npz")}
    for stem in ("0001", "0004"):
        (drawing.path / f"flow/{stem}.npz").unlink()
    (drawing.path / "flow/.0004.npz.a1b2c3d4.part").write_bytes(b"half")
    with caplog.at_level(logging.INFO):
        FlowCache(drawing.clip, DisFlow()).complete()
        FlowCache(drawing.clip, DisFlow()).complete()
    assert "flow: 2 pairs in" in caplog.text
    assert "flow: done before, 5 pairs" in caplog.text
    assert files(drawing) == whole
    assert not list((drawing.path / "flow").glob(".*"))
    assert (drawing.path / "flow/0002.npz").stat().st_mtime_ns == times["0002.npz"]


def test_pairs_on_the_way_between_frames_are_made_once_in_any_order(drawing, disc_clip, caplog):
    other = disc_clip("other", count=6, size=(40, 56), masks=(), keyframes=())
    FlowCache(other.clip, DisFlow()).complete()
    cache = FlowCache(drawing.clip, DisFlow())
    assert cache.pairs_between("0002", "0005") == cache.pairs_between("0005", "0002") == ["0002", "0003", "0004"]
    assert cache.pairs_between("0003", "0003") == []
    with caplog.at_level(logging.INFO):
        cache.complete(["0005", "0002", "0005"])
        cache.complete(["0002", "0005"])
        cache.complete([])
        cache.complete(["0002", "0003"])
    assert [record.message.split(" in ")[0] for record in caplog.records] == ["flow: 2 pairs", "flow: 1 pairs"]
    assert files(drawing) == {f"{stem}.npz": files(other)[f"{stem}.npz"] for stem in ("0002", "0003", "0005")}


def test_who_completes_all_leaves_a_share_at_work_on_its_own_unharmed(drawing, disc_clip, monkeypatch):
    other = disc_clip("other", count=6, size=(40, 56), masks=(), keyframes=())
    FlowCache(other.clip, DisFlow()).complete()
    replace, begun = Path.replace, []

    def interrupted(path, target):
        if path.name.startswith(".0003.npz") and not begun:
            begun.append(path)
            FlowCache(drawing.clip, DisFlow()).complete()
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    cache = FlowCache(drawing.clip, DisFlow())
    cache.complete(cache.pairs[::2], share="1-of-2")
    assert begun
    assert files(drawing) == files(other)
    assert not list((drawing.path / "flow").glob(".*"))


class Interruption:
    """Garbage whose end lets another thread run, wherever the collector comes upon it."""

    def __init__(self):
        self.itself = self

    def __del__(self):
        time.sleep(0)


def test_threads_read_flow_at_once(drawing, request):
    # Python 3.11 and 3.12 may end in a SystemError where two threads parse the header of an array at once.
    cache = FlowCache(drawing.clip, DisFlow())
    cache.complete()
    request.addfinalizer(partial(gc.set_threshold, *gc.get_threshold()))
    request.addfinalizer(partial(sys.setswitchinterval, sys.getswitchinterval()))
    gc.set_threshold(5)
    sys.setswitchinterval(1e-6)

    def read(_):
        Interruption()
        return cache.both_ways("0001", "0002")

    with ThreadPoolExecutor(6) as pool:
        assert len(list(pool.map(read, range(3000)))) == 3000


@pytest.mark.parametrize("change", ["flip", "encrypted", "bzip2", "cut", "empty", "foreign", "gone"])
def test_a_damaged_file_is_made_again_with_a_warning(drawing, caplog, change):
    cache = FlowCache(drawing.clip, DisFlow())
    cache.complete()
    path = drawing.path / "flow/0003.npz"
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 3] ^= 16
    # What the zip's directory says of its first part: flags, and how it is packed.
    part = whole.index(b"PK\1\2")
    encrypted, otherwise = bytearray(whole), bytearray(whole)
    encrypted[part + 8] ^= 1
    otherwise[part + 10] ^= 4
    wrong = {"flip": bytes(flipped), "cut": whole[: len(whole) // 2], "empty": b"", "foreign": b"not a zip"}
    wrong |= {"encrypted": bytes(encrypted), "bzip2": bytes(otherwise)}
    if change == "gone":
        path.unlink()
    else:
        path.write_bytes(wrong[change])
    cache.both_ways("0004", "0003")
    assert "0003.npz is" in caplog.text
    assert "made again" in caplog.text
    assert path.read_bytes() == whole


def test_a_file_of_another_size_is_made_again(drawing, disc_clip, caplog):
    cache = FlowCache(drawing.clip, DisFlow())
    cache.complete()
    larger = disc_clip("larger", count=2, size=(48, 64), masks=(), keyframes=())
    FlowCache(larger.clip, DisFlow()).complete()
    (drawing.path / "flow/0001.npz").write_bytes((larger.path / "flow/0001.npz").read_bytes())
    assert cache.both_ways("0001", "0002")[0].shape == (20, 28, 2)
    assert "of another size" in caplog.text


def test_another_config_or_other_frames_make_all_anew(drawing, caplog):
    FlowCache(drawing.clip, DisFlow()).complete()
    with caplog.at_level(logging.INFO):
        FlowCache(drawing.clip, DisFlow(scale=1.0)).complete()
    assert "flow: made again, for what it depends on changed: scale" in caplog.text
    assert FlowCache(drawing.clip, DisFlow(scale=1.0)).both_ways("0001", "0002")[0].shape == (40, 56, 2)
    drawing.save("frames/0006.png", drawing.images["0001"])
    with caplog.at_level(logging.INFO):
        FlowCache(drawing.clip, DisFlow(scale=1.0)).complete()
    assert "changed: frames" in caplog.text
    (drawing.path / "flow/manifest.json").unlink()
    FlowCache(drawing.clip, DisFlow(scale=1.0)).complete()
    assert "nothing says how the 5 files there were made" in caplog.text


def test_killed_while_old_flow_is_removed_what_is_left_is_known(drawing, caplog, monkeypatch):
    FlowCache(drawing.clip, DisFlow()).complete()
    unlink = Path.unlink

    def killed(path, **options):
        if path.suffix == ".npz":
            raise KeyboardInterrupt
        unlink(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            FlowCache(drawing.clip, DisFlow(scale=1.0)).complete()
    FlowCache(drawing.clip, DisFlow(scale=1.0)).complete()
    assert "nothing says" not in caplog.text
