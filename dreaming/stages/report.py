"""The ``report`` stage: one self-contained page with a picture of every stage, times and scores."""

import base64
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import cv2
import jinja2
import numpy as np

from dreaming.clip.clip import Clip
from dreaming.errors import ConfigError, DreamingError
from dreaming.imaging.overlay import overlay
from dreaming.io.atomic import write_atomically
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.image import decode
from dreaming.io.manifest import MANIFEST, Manifest
from dreaming.io.types import Image
from dreaming.stages.base import Stage
from dreaming.training.image_logging import PICTURES
from dreaming.training.run_registry import Best, read_best

log = logging.getLogger(__name__)


TRUTH = "Against the truth", "Frames with a hand mask, but for the test masks, and keyframes are left out."
HAND_MASKS = {
    "masks, test": (
        "At the test masks",
        "Only frames that have a test mask are scored, from which nothing learnt.",
    ),
    "masks, held out": (
        "At held-out hand masks",
        "Only frames whose hand masks were held back from the maskers are scored.",
    ),
    "masks, out of fold": (
        "At left-out hand masks",
        "Only hand-masked frames are scored, each by maskers that were fitted without its mask.",
    ),
}
"""Heading and explanation of the scores, by the kind that ``evaluate`` names; of every other kind: ``TRUTH``."""


def judged(scores: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Heading and explanation of each way in which something was scored; one, but for parts that differ."""
    return list(dict.fromkeys(HAND_MASKS.get(score["kind"], TRUTH) for score in scores))


@dataclass
class ReportStage(Stage):
    """Write ``report.html``; it needs no other file.

    Attributes:
        rows: Frames shown, spread over the clip.
        width: Of a picture on the page, in pixels.
        embed: Largest video, in MB, that is put into the page; a larger one is linked.
    """

    kind: ClassVar[str] = "report_stage"

    name: ClassVar[str] = "report"
    reads: ClassVar[tuple[str, ...]] = ()

    rows: int = 4
    width: int = 480
    embed: float = 20.0

    def __post_init__(self) -> None:
        for key in ("rows", "width"):
            value = getattr(self, key)
            if value < 1:
                raise ConfigError(f"stage.report.{key}", found=str(value), expected="1 or more", hint="correct it")

    def skips(self, clip: Clip) -> str | None:
        """There is always something to report."""
        return None

    def run(self, clip: Clip) -> None:
        """Gather and write."""
        environment = jinja2.Environment(loader=jinja2.PackageLoader("dreaming", "stages"), autoescape=True)
        columns = dict(self._columns(clip))
        chosen = np.unique(np.linspace(0, len(clip.stems) - 1, self.rows).round().astype(int))
        stems = [clip.stems[place] for place in chosen]
        scores = self._scores(clip)
        page = environment.get_template("report.html.j2").render(
            title=clip.path.resolve().name,
            facts=list(self._facts(clip)),
            video=self._video(clip),
            columns=list(columns),
            pictures=[[self._picture(draw, stem) for draw in columns.values()] for stem in stems],
            stages=list(self._times(clip)),
            trained=list(self._trained(clip)),
            scores=scores,
            judged=judged(scores),
            score_names=[
                n for n in ("J", "F", "accuracy", "flicker", "SSIM", "PSNR") if any(n in score for score in scores)
            ],
        )
        write_atomically(clip.path / "report.html", page.encode())
        log.info("report: %s", clip.path / "report.html")

    def _columns(self, clip: Clip) -> Iterator[tuple[str, Any]]:
        """Heading and drawing function of each column."""
        yield "frame", clip.frames.read
        for part in clip.parts:
            root = clip.masks(part, "x").path.parent
            for path in sorted(root.iterdir()) if root.is_dir() else []:
                masks = FrameFolder(path)
                if len(masks):
                    yield (
                        f"mask: {path.relative_to(clip.path / 'masks')}",
                        lambda stem, masks=masks: overlay(clip.frames.read(stem), masks.read_mask(stem, clip.size)),
                    )
        for layer in clip.layers:
            if len(clip.styled(layer)):
                yield f"styled: {layer.name}", clip.styled(layer).read
        if len(clip.composite):
            yield "composite", clip.composite.read

    def _picture(self, draw: Any, stem: str) -> str | None:
        try:
            return self._embedded(draw(stem))
        except DreamingError as error:
            log.warning("report: %s", error)
            return None

    def _embedded(self, image: Image) -> str:
        if image.shape[1] > self.width:
            height = max(1, round(image.shape[0] * self.width / image.shape[1]))
            image = cv2.resize(image, (self.width, height), interpolation=cv2.INTER_AREA)
        data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
        return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()

    def _video(self, clip: Clip) -> str | None:
        path = clip.path / "dream.mp4"
        if not path.exists():
            return None
        if path.stat().st_size > self.embed * 1e6:
            return path.name
        return "data:video/mp4;base64," + base64.b64encode(path.read_bytes()).decode()

    def _facts(self, clip: Clip) -> Iterator[str]:
        yield f"{len(clip.stems)} frames of {clip.size[1]}x{clip.size[0]}"
        for part in clip.parts:
            split = clip.split(part)
            yield f"{part}: {len(split.nn)} hand masks for the maskers, protocol {split.validation}"
        for layer in clip.layers:
            yield f"{layer.name}: {len(clip.keyframe_folder(layer))} keyframes"

    def _times(self, clip: Clip) -> Iterator[dict[str, Any]]:
        """What was trained and made, with its frames and seconds."""
        for best in self._trained(clip):
            yield {"name": f"training of {best['name']} on {best['subject']}", "seconds": best["seconds"]}
        caches = sorted(clip.path.glob(f"guides/**/{MANIFEST}"))
        made = [
            *sorted(clip.path.glob(f"masks/**/{MANIFEST}")),
            *caches,
            *sorted(clip.path.glob(f"styled/*/{MANIFEST}")),
        ]
        first = [clip.frames.path, clip.path / "flow", clip.path / "filtered"]
        folders = [*first, *(path.parent for path in made), clip.composite.path]
        records = [(str(f.relative_to(clip.path)), Manifest.read(f / MANIFEST)) for f in folders]
        for name, manifest in [*records, ("dream.mp4", Manifest.read(clip.path / "dream.json"))]:
            if manifest is not None:
                yield {"name": name, "frames": manifest.frames, "seconds": manifest.seconds}

    def _trained(self, clip: Clip) -> Iterator[dict[str, Any]]:
        for pointer in sorted(clip.path.glob("runs/*/best*.json")):
            best = read_best(pointer)
            if best is not None:
                picture = self._validation(best)
                facts = {
                    key: getattr(best, key) for key in ("subject", "steps", "seconds", "monitor", "score", "validation")
                }
                yield {"name": pointer.parent.name, **facts, "picture": picture}

    def _validation(self, best: Best) -> str | None:
        folder = best.weights.parents[1]
        path: Path | None = next(
            iter([p for p in (folder / PICTURES, folder / "fold-1" / PICTURES) if p.exists()]), None
        )
        return None if path is None else self._embedded(cv2.cvtColor(decode(path), cv2.COLOR_BGR2RGB))

    def _scores(self, clip: Clip) -> list[dict[str, Any]]:
        """Those against the truth, or else the latest of masks that were not learnt from."""
        found = [clip.path / "evaluation.json", *sorted(clip.path.glob("runs/*/*/evaluation.json"), reverse=True)]
        path = next((path for path in found if path.exists()), None)
        return [] if path is None else json.loads(path.read_text())["summary"]
