"""The kept flow: what is read is what was computed, nothing is made twice, and nothing damaged or stale is used."""

import logging
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from dreaming.artifacts.manifest import Manifest
from dreaming.flow import cache as cache_module
from dreaming.flow.cache import FlowCache, decode, encode
from dreaming.flow.dis import DisFlow
from dreaming.io.locks import lock


def files(drawing):
    return {path.name: path.read_bytes() for path in (drawing.path / "flow").glob("*.png")}


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
        cache.complete(cache.pairs[share::2], workers=1)
    assert sorted(files(drawing)) == [f"{stem}.png" for stem in drawing.stems[:-1]]
    assert files(drawing) == files(other)
    record = Manifest.read(other.path / "flow/manifest.json")
    assert record.frames == 5
    assert record == Manifest.read(drawing.path / "flow/manifest.json")


def test_the_folder_is_listed_equally_often_for_any_number_of_blocks(drawing, file_accesses, monkeypatch):
    sums = []
    for block in (8, 1):
        monkeypatch.setattr(cache_module, "BLOCK", block)
        shutil.rmtree(drawing.path / "flow", ignore_errors=True)
        file_accesses.clear()
        FlowCache(drawing.clip, DisFlow()).complete()
        flow = str(drawing.path / "flow")
        sums.append(sum(count for (call, path), count in file_accesses.items() if call != "stat" and path == flow))
    assert sums[0] == sums[1]


def test_only_what_is_missing_is_made(drawing, caplog):
    cache = FlowCache(drawing.clip, DisFlow())
    cache.complete()
    whole, times = files(drawing), {p.name: p.stat().st_mtime_ns for p in (drawing.path / "flow").glob("*.png")}
    for stem in ("0001", "0004"):
        (drawing.path / f"flow/{stem}.png").unlink()
    (drawing.path / "flow/.0004.png.elsewhere-1-2.part").write_bytes(b"half")
    caplog.set_level(logging.INFO)
    assert FlowCache(drawing.clip, DisFlow()).complete() == 2
    assert FlowCache(drawing.clip, DisFlow()).complete() == 0
    assert len(caplog.records) == 1, "what is up to date is not worth a line"
    assert files(drawing) == whole
    assert not list((drawing.path / "flow").glob(".*"))
    assert (drawing.path / "flow/0002.png").stat().st_mtime_ns == times["0002.png"]


def test_pairs_on_the_way_between_frames_are_made_once_in_any_order(drawing, disc_clip):
    other = disc_clip("other", count=6, size=(40, 56), masks=(), keyframes=())
    FlowCache(other.clip, DisFlow()).complete()
    cache = FlowCache(drawing.clip, DisFlow())
    assert cache.pairs_between("0002", "0005") == cache.pairs_between("0005", "0002") == ["0002", "0003", "0004"]
    assert cache.pairs_between("0003", "0003") == []
    asked = (["0005", "0002", "0005"], ["0002", "0005"], [], ["0002", "0003"])
    assert [cache.complete(pairs) for pairs in asked] == [2, 0, 0, 1]
    assert files(drawing) == {f"{stem}.png": files(other)[f"{stem}.png"] for stem in ("0002", "0003", "0005")}


def test_processes_share_the_blocks_and_wait_for_the_rest(drawing, disc_clip, monkeypatch):
    other = disc_clip("other", count=6, size=(40, 56), masks=(), keyframes=())
    FlowCache(other.clip, DisFlow()).complete()
    monkeypatch.setattr("dreaming.flow.cache.BLOCK", 2)
    begun, go_on = threading.Event(), threading.Event()

    @dataclass(frozen=True)
    class Slow(DisFlow):
        kind: ClassVar[str] = DisFlow.kind

        def between(self, one, other):
            begun.set()
            assert go_on.wait(20)
            return super().between(one, other)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(FlowCache(drawing.clip, Slow()).complete, workers=1)
        assert begun.wait(20)
        second = pool.submit(FlowCache(drawing.clip, DisFlow()).complete, workers=1)
        deadline = time.monotonic() + 20
        while len(files(drawing)) < 3:  # the second has computed all blocks but the first, and waits for that
            assert time.monotonic() < deadline
            time.sleep(0.005)
        assert not second.done()
        go_on.set()
        assert (first.result(20), second.result(20)) == (2, 3)
    assert files(drawing) == files(other)
    record = Manifest.read(drawing.path / "flow/manifest.json")
    assert record.frames == 5


def test_a_block_whose_process_died_is_computed_by_the_one_that_waits(drawing, monkeypatch):
    monkeypatch.setattr("dreaming.flow.cache.BLOCK", 2)
    cache = FlowCache(drawing.clip, DisFlow())
    with ThreadPoolExecutor(1) as pool:
        with lock(drawing.path, "flow 0", ""):
            waiting = pool.submit(cache.complete, workers=1)
            deadline = time.monotonic() + 20
            while len(files(drawing)) < 3:
                assert time.monotonic() < deadline
                time.sleep(0.005)
        assert waiting.result(20) == 5


@pytest.mark.parametrize("change", ["flip", "cut", "empty", "foreign", "gone"])
def test_a_damaged_file_is_computed_again_with_a_warning(drawing, caplog, change):
    cache = FlowCache(drawing.clip, DisFlow())
    cache.complete()
    path = drawing.path / "flow/0003.png"
    whole = path.read_bytes()
    wrong = {"cut": whole[: len(whole) // 2], "empty": b"", "foreign": b"not a picture"}
    wrong["flip"] = bytes([*whole[: len(whole) // 2], whole[len(whole) // 2] ^ 16, *whole[len(whole) // 2 + 1 :]])
    if change == "gone":
        path.unlink()
    else:
        path.write_bytes(wrong[change])
    cache.both_ways("0004", "0003")
    assert [(record.levelname, record.args[0]) for record in caplog.records] == [("WARNING", path)]
    assert path.read_bytes() == whole


def test_no_flipped_bit_goes_unnoticed():
    rng = np.random.default_rng(4)
    pair = rng.normal(0, 3, (2, 6, 8, 2)).astype(np.float32)
    whole = encode((pair[0], pair[1]))
    assert decode(whole, (6, 8)) is not None
    values = np.concatenate(decode(whole, (6, 8)))
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        damaged = decode(bytes(flipped), (6, 8))
        # Flips in the mark's and the end's chunk change no value.
        assert damaged is None or np.array_equal(np.concatenate(damaged), values)


def test_large_motion_is_as_exact_as_small():
    pair = np.linspace(-1000, 1000, 6 * 8 * 2, dtype=np.float32).reshape(6, 8, 2)
    forward, backward = decode(encode((pair, -pair)), (6, 8))
    np.testing.assert_allclose(forward, pair, atol=1 / 64)
    np.testing.assert_allclose(backward, -pair, atol=1 / 64)
    assert decode(encode((pair * 2, pair)), (6, 8))[0].min() == -1024, "clipped"


def test_a_file_of_another_size_is_made_again(drawing, disc_clip, caplog):
    cache = FlowCache(drawing.clip, DisFlow())
    cache.complete()
    larger = disc_clip("larger", count=2, size=(48, 64), masks=(), keyframes=())
    FlowCache(larger.clip, DisFlow()).complete()
    (drawing.path / "flow/0001.png").write_bytes((larger.path / "flow/0001.png").read_bytes())
    assert cache.both_ways("0001", "0002")[0].shape == (20, 28, 2)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_another_config_or_other_frames_make_all_anew(drawing, caplog):
    FlowCache(drawing.clip, DisFlow()).complete()
    caplog.set_level(logging.INFO)
    FlowCache(drawing.clip, DisFlow(scale=1.0)).complete()
    assert ("flow", "scale") in [record.args for record in caplog.records]
    assert FlowCache(drawing.clip, DisFlow(scale=1.0)).both_ways("0001", "0002")[0].shape == (40, 56, 2)
    drawing.save("frames/0006.png", drawing.images["0001"])
    FlowCache(drawing.clip, DisFlow(scale=1.0)).complete()
    assert ("flow", "frames") in [record.args for record in caplog.records]


def test_killed_while_old_flow_is_removed_what_is_left_is_explained(drawing, interrupted_at):
    FlowCache(drawing.clip, DisFlow()).complete()
    with interrupted_at("*.png"):
        FlowCache(drawing.clip, DisFlow(scale=1.0)).complete()
    FlowCache(drawing.clip, DisFlow(scale=1.0)).complete()
    assert len(files(drawing)) == 5
    assert not (drawing.path / "flow.kept-1").exists()


def test_there_is_no_flow_across_a_cut(cut_clip):
    clip = cut_clip().clip
    cache = FlowCache(clip, DisFlow())
    assert cache.complete() == 10
    assert not (clip.path / "flow/0006.png").exists()
    with pytest.raises(AssertionError):
        cache.both_ways("0006", "0007")
