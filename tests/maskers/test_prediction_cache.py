"""Masks kept on disk: whoever wants the same ones waits for them, and nobody else does."""

import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from dreaming.io.atomic import owner
from dreaming.maskers.base import FrameMasker
from dreaming.maskers.prediction_cache import PredictionCache

PATIENCE = 5
"""Seconds for which the one that is slow lets itself be waited for."""


@dataclass
class Even(FrameMasker):
    """The same probability everywhere; the first one that is fitted halts until it is told to go on."""

    level: float
    begun: ClassVar[threading.Event]
    go_on: ClassVar[threading.Event]
    fits: ClassVar[list[float]]

    def fit(self, clip, references):
        self.fits.append(self.level)
        if len(self.fits) == 1:
            self.begun.set()
            self.go_on.wait(PATIENCE)
        return self

    def predict_frame(self, image):
        return np.full(image.shape[:2], self.level, np.float32)


@pytest.fixture
def one_at_work(disc_clip):
    """What remembers a masker of some level, while another thread is at work on one of 0.2."""
    Even.begun, Even.go_on, Even.fits = threading.Event(), threading.Event(), []
    clip = disc_clip().clip
    refs = clip.references("subject", clip.split("subject").nn)

    def remembered(level, left_out=None):
        return PredictionCache(clip, "even", Even(level), refs, left_out and refs.select([left_out]))

    slow = threading.Thread(target=remembered(0.2).complete, args=(["0001"],))
    slow.start()
    assert Even.begun.wait(PATIENCE)
    yield remembered
    Even.go_on.set()
    slow.join()


def test_masks_of_another_config_are_not_waited_for(one_at_work):
    assert one_at_work(0.8).complete(["0001"]).stems == ["0001"]
    assert one_at_work(0.2, "0004").complete(["0001"]).stems == ["0001"]
    assert Even.fits == [0.2, 0.8, 0.2]
    assert not one_at_work(0.2).folder.path.exists(), "it has waited for the other one"


def test_the_same_masks_are_waited_for_and_not_made_again(one_at_work, caplog):
    caplog.set_level("INFO")
    threading.Timer(0.2, Even.go_on.set).start()
    assert one_at_work(0.2).complete(["0001"]).stems == ["0001"]
    assert Even.fits == [0.2]
    waits = [record.levelname for record in caplog.records if record.name == "dreaming.io.locks"]
    assert waits == ["INFO"], "who waits says so"


@pytest.fixture
def cached(disc_clip):
    """Gives the cache of a masker of some level, which is quick."""
    Even.begun, Even.go_on, Even.fits = threading.Event(), threading.Event(), []
    Even.go_on.set()
    clip = disc_clip().clip
    refs = clip.references("subject", clip.split("subject").nn)
    return lambda level: PredictionCache(clip, "even", Even(level), refs)


def test_a_left_out_mask_may_change(disc_clip, cached):
    clip = cached(0.1).clip
    fingerprints = []
    for painted in (False, True):
        refs = clip.references("subject", ["0001", "0004"])
        refs.masks[1] = painted
        caches = [PredictionCache(clip, "even", Even(0.1), refs, refs.select([stem])) for stem in refs.stems]
        fingerprints.append([each.folder.path.name for each in caches])
    assert fingerprints[0][1] == fingerprints[1][1], "0004 is not trained on"
    assert fingerprints[0][0] != fingerprints[1][0]


def test_only_the_folders_used_last_are_kept(cached, monkeypatch):
    monkeypatch.setattr("dreaming.maskers.prediction_cache.KEPT", 2)
    for level in (0.1, 0.2, 0.3):
        cached(level).complete(["0001"])
        cached(0.1).complete(["0001"])
    kept = {path.name for path in cached(0.1).folder.path.parent.iterdir()}
    assert kept == {cached(level).folder.path.name for level in (0.1, 0.3)}
    assert Even.fits == [0.1, 0.2, 0.3], "0.1 was used again and stays"


def test_a_folder_in_use_is_not_removed(cached, monkeypatch):
    monkeypatch.setattr("dreaming.maskers.prediction_cache.KEPT", 1)
    used = cached(0.1).complete(["0001"])
    cached(0.2).complete(["0001"])
    cached(0.3).complete(["0001"])
    assert used.read_probability("0001").shape == (32, 48)
    assert not cached(0.2).folder.path.exists()
    del used
    cached(0.4).complete(["0001"])
    assert not cached(0.1).folder.path.exists()


def test_a_process_that_died_uses_no_folder(cached, monkeypatch):
    monkeypatch.setattr("dreaming.maskers.prediction_cache.KEPT", 1)
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    host = owner().rpartition("-")[0]
    folders = {}
    for level, process in ((0.1, f"{host}-{ended.pid}"), (0.2, "elsewhere-1")):
        folders[level] = cached(level).complete(["0001"]).path
        (folders[level] / f".used-by-{process}-7").touch()
    cached(0.3).complete(["0001"])
    assert [folder.exists() for folder in folders.values()] == [False, True], "what runs elsewhere is unknown"


def test_what_is_no_folder_of_the_cache_is_not_removed(cached, monkeypatch):
    monkeypatch.setattr("dreaming.maskers.prediction_cache.KEPT", 1)
    first = cached(0.1).complete(["0001"]).path
    (first / "mine.png").write_bytes((first / "0001.png").read_bytes())
    other = first.with_name("mine")
    other.mkdir()
    (other / "manifest.json").write_text('{"name": "app"}')
    cached(0.2).complete(["0001"])
    assert [path.name for path in first.iterdir()] == ["mine.png"]
    assert (other / "manifest.json").exists()


def test_a_linked_folder_is_not_removed(cached, monkeypatch, tmp_path):
    monkeypatch.setattr("dreaming.maskers.prediction_cache.KEPT", 1)
    first = cached(0.1).complete(["0001"]).path
    theirs = first.rename(tmp_path / "theirs")
    first.symlink_to(theirs)
    cached(0.2).complete(["0001"])
    assert {path.name for path in theirs.iterdir()} >= {"0001.png", "manifest.json"}
