"""What all tests share: a tiny clip and a tiny video drawn by code, and the folder of real data where there is one."""

import gc
import logging
import os
import signal
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

# Pictures here are tiny: a second thread waits for the first, for minutes where the machine is busy.
os.environ["OMP_NUM_THREADS"] = "1"

import av
import cv2
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

from dreaming.clip.clip import Clip

torch.set_num_threads(1)
cv2.setNumThreads(1)
# No test asserts a time: a busy machine is no fault of the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_finish():
    """Exclude what imports left from garbage collection, of which every fit begins with a full one."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def file_accesses(monkeypatch):
    """Count, from now on, calls by name and path: folders that are listed, and files that are looked at one by one."""
    counts = Counter()

    def counted(call):
        def count(path=".", *arguments, **options):
            counts[call.__name__, os.fspath(path) if isinstance(path, os.PathLike) else path] += 1
            return call(path, *arguments, **options)

        return count

    for name in ("scandir", "listdir", "stat"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    return counts


RED, BLUE = np.array([200, 40, 30]), np.array([30, 60, 160])


@dataclass
class Drawing:
    """A drawn clip on disk, and what was drawn.

    Attributes:
        path: The clip's folder.
        images: (H, W, 3) RGB uint8 of each frame.
        truth: (H, W) bool of each frame, True on the disc.
        styled: (H, W, 3) RGB uint8 of each frame, recoloured.
    """

    path: Path
    images: dict[str, np.ndarray] = field(default_factory=dict)
    truth: dict[str, np.ndarray] = field(default_factory=dict)
    styled: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def stems(self):
        return list(self.images)

    @property
    def clip(self):
        """A new Clip, which has cached nothing yet."""
        return Clip(self.path)

    def save(self, place, picture):
        """Write a picture, RGB or of booleans, to a path in the clip's folder, by OpenCV."""
        path = self.path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        if picture.dtype == bool:
            picture = picture.astype(np.uint8) * 255
        assert cv2.imwrite(str(path), picture[..., ::-1] if picture.ndim == 3 else picture)
        return path


@pytest.fixture
def disc_clip(tmp_path):
    """Draw a clip as a user would hand it in: a red disc crossing a blue, noisy backdrop.

    ``count`` frames of ``size``; hand masks of the frames ``masks`` and recoloured keyframes of the frames
    ``keyframes`` (numbers from 1); without ``frames`` only masks and keyframes are written.
    """

    def draw(name="disc", *, count=8, size=(32, 48), masks=(1, 4, 8), keyframes=(4,), frames=True):
        drawing = Drawing(tmp_path / name)
        drawing.path.mkdir()
        rng = np.random.default_rng(5)
        for number in range(1, count + 1):
            stem = f"{number:04d}"
            x, y = round(size[1] * (number - 0.5) / count), size[0] // 2
            rows, columns = np.mgrid[: size[0], : size[1]]
            disc = (columns - x) ** 2 + (rows - y) ** 2 <= (size[0] // 4) ** 2
            image = np.where(disc[..., None], RED, BLUE) + rng.integers(-20, 20, (*size, 3))
            drawing.images[stem] = image.astype(np.uint8)
            drawing.truth[stem] = disc
            drawing.styled[stem] = (image[..., [1, 2, 0]] // 2 + 100).astype(np.uint8)
            if frames:
                drawing.save(f"frames/{stem}.png", drawing.images[stem])
            if number in masks:
                drawing.save(f"hand_masks/{stem}.png", disc)
            if number in keyframes:
                drawing.save(f"keyframes/painted/{stem}.png", drawing.styled[stem])
        return drawing

    return draw


@pytest.fixture
def cut_clip(tmp_path):
    """Draw two shots of six frames: a disc over a panned landscape, another disc over another one from 0007 on."""

    def draw(name="cut", *, masks=(2, 5, 9), keyframes=(), size=(48, 84)):
        drawing = Drawing(tmp_path / name)
        for shot, colour in enumerate((RED, BLUE)):
            rng = np.random.default_rng(shot)
            wide = (size[1] + 12, size[0])
            noise = sum(cv2.resize(rng.random((h, 2 * h), dtype=np.float32), wide) for h in (4, 8, 16)) / 3
            land = (noise[..., None] * rng.uniform(60, 255, 3)).astype(np.uint8)
            for number in range(1, 7):
                stem = f"{6 * shot + number:04d}"
                rows, columns = np.mgrid[: size[0], : size[1]]
                disc = (columns - 20 - 5 * number) ** 2 + (rows - 20 - 8 * shot) ** 2 <= 10**2
                drawing.images[stem] = np.where(
                    disc[..., None], colour, land[:, 2 * number : 2 * number + size[1]]
                ).astype(np.uint8)
                drawing.truth[stem] = disc
                drawing.styled[stem] = drawing.images[stem][..., [1, 2, 0]] // 2 + np.uint8(60 + 60 * shot)
                drawing.save(f"frames/{stem}.png", drawing.images[stem])
                for folder, numbers, pictures in (
                    ("hand_masks", masks, drawing.truth),
                    ("keyframes/painted", keyframes, drawing.styled),
                ):
                    if int(stem) in numbers:
                        drawing.save(f"{folder}/{stem}.png", pictures[stem])
        return drawing

    return draw


@pytest.fixture
def alone(tmp_path):
    """Copy a shot of a cut clip, the first or the second, to a clip of its own."""

    def copy(drawing, shot):
        folder = tmp_path / f"alone-{drawing.path.name}-{shot}"
        for stem in drawing.stems[6 * shot : 6 * shot + 6]:
            for path in drawing.path.glob(f"*/**/{stem}.png"):
                if path.parts[-2] in ("frames", "hand_masks", "painted"):
                    target = folder / path.relative_to(drawing.path)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(path.read_bytes())
        return Clip(folder)

    return copy


@pytest.fixture
def unchanged_logging():
    """A context that closes what Hydra logs to, and restores the root logger."""

    @contextmanager
    def unchanged():
        root = logging.getLogger()
        level, handlers = root.level, list(root.handlers)
        try:
            yield
        finally:
            for handler in set(root.handlers) - set(handlers):
                with suppress(OSError):  # on a full disk
                    handler.close()
            root.handlers[:] = handlers
            root.setLevel(level)

    return unchanged


@pytest.fixture
def clip(disc_clip):
    """A clip of nine frames with three hand masks; modules with other needs have their own."""
    return disc_clip(count=9, size=(48, 72), masks=(1, 4, 9)).clip


@pytest.fixture
def references(clip):
    """All hand masks of the clip."""
    return clip.references("subject", clip.stems)


@pytest.fixture
def kill_when():
    """Kill a child process as soon as something is so."""

    def kill(child, reached):
        while not reached():
            assert child.poll() is None, "the child ended before"
            time.sleep(0.002)
        child.send_signal(signal.SIGKILL)
        assert child.wait(20) == -signal.SIGKILL

    return kill


@pytest.fixture
def interrupted_at(monkeypatch):
    """Interrupt what runs in the context instead of deleting a file whose name matches."""

    @contextmanager
    def interrupt(pattern):
        unlink = Path.unlink

        def interrupted(path, **options):
            if path.match(pattern):
                raise KeyboardInterrupt
            unlink(path, **options)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", interrupted)
            with pytest.raises(KeyboardInterrupt):
                yield

    return interrupt


@pytest.fixture
def film():
    """Write pictures (H, W, 3) as a lossless mkv, shown at ``pts`` / ``rate`` seconds, mute or with a tone."""

    def write(path, images, *, rate=25, pts=None, sound=False):
        images = list(images)
        with av.open(str(path), "w", format="matroska") as output:
            stream = output.add_stream("ffv1", rate=rate)
            stream.height, stream.width, stream.pix_fmt = *images[0].shape[:2], "bgr0"
            stream.codec_context.time_base = Fraction(1, rate)
            track = output.add_stream("aac", rate=48000, layout="mono") if sound else None
            for image, time in zip(images, pts or range(len(images)), strict=True):
                frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="bgr0")
                frame.pts, frame.time_base = time, Fraction(1, rate)
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
            if track is not None:
                tone = np.sin(np.arange(48000 * len(images) // rate) / 20)[None].astype(np.float32) / 4
                samples = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
                samples.sample_rate, samples.pts, samples.time_base = 48000, 0, Fraction(1, 48000)
                output.mux(track.encode(samples))
                output.mux(track.encode(None))
        return path

    return write


@pytest.fixture(scope="session")
def shared():
    """The folder of real data, scores and documents beside the project; tests that ask for it are skipped without."""
    path = ROOT.parent / "shared"
    if not path.is_dir():
        pytest.skip(f"no {path}")
    return path
