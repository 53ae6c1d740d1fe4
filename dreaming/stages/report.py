"""The ``report`` stage: one self-contained page with pictures, times and scores."""

import base64
import logging
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import jinja2
import numpy as np

from dreaming.artifacts.manifest import MANIFEST, Manifest
from dreaming.artifacts.output_file import write_output
from dreaming.artifacts.record import read_record
from dreaming.clip.clip import Clip
from dreaming.constraints import NonNegativeFloat, PositiveInt
from dreaming.errors import AccessError, DreamingError
from dreaming.imaging.overlay import overlay
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.image import decode
from dreaming.io.plain_data import read_plain_yaml
from dreaming.io.types import Image
from dreaming.stages.base import Stage
from dreaming.stages.scores.crispness_curve import CrispnessCurve, measure_crispness
from dreaming.stages.scores.record import GOOD, OVER_TIME, SCORES, explain, read_scores
from dreaming.training.image_logging import PICTURES
from dreaming.training.run_registry import Best, read_best

log = logging.getLogger(__name__)


WIDTH = 480
"""Width of a picture on the page, in pixels; four of them fit on a common screen."""

WIDE = 1200
"""Width of the pictures that are compared with a slider, in pixels."""

NEXT = 3
"""Frames to paint next that are shown of each part and layer."""

EXPLANATIONS = {
    "ground truth": "Ground truth: frames with a hand mask (other than test masks) and keyframes are not scored.",
    "test masks": "Test masks: only frames with a test mask are scored; no masker is trained on these masks.",
    "hold-out masks": "Hold-out masks: only frames whose hand masks are held out from the maskers are scored.",
    "cross-validation": "Cross-validation: frames are scored by maskers trained without their hand masks. Those at the "
    "ends of the clip are not scored if enough others remain.",
}
"""What is scored, by the ``scored on`` of ``evaluate``."""


@dataclass
class ReportStage(Stage):
    """Write ``report.html``, which needs no other file but for its links to the worst frames.

    Attributes:
        rows: Frames shown, spread over the clip.
        embed: Largest video, in MB, that is embedded in the page; a larger one is linked.
    """

    name: ClassVar[str] = "report"
    opens: ClassVar[tuple[str, ...]] = ("report.html",)
    reads: ClassVar[tuple[str, ...]] = ()

    rows: PositiveInt = 4
    embed: NonNegativeFloat = 20.0

    def run(self, clip: Clip) -> None:
        """Write the page."""
        overrides = self._overrides()
        environment = jinja2.Environment(loader=jinja2.PackageLoader("dreaming", "stages"), autoescape=True)
        columns = dict(self._columns(clip))
        chosen = np.unique(np.linspace(0, len(clip.stems) - 1, self.rows).round().astype(int))
        stems = [clip.stems[index] for index in chosen]
        scores = [{**score, "worst": self._worst(clip, str(score.get("name")))} for score in read_scores(clip)]
        scored = {str(score.get("name")).rpartition("/")[2] for score in scores}
        names = [name for name in (*SCORES, *OVER_TIME) if any(name in score for score in scores)]
        page = environment.get_template("report.html.j2").render(
            title=clip.path.resolve().name,
            facts=list(self._facts(clip)),
            compared=self._compared(clip),
            suggested=list(self._suggested(clip)),
            suggest=shlex.join(["dreaming", *_settings(overrides, clip), "stages=[suggest,report]"]),
            command=overrides and shlex.join(["dreaming", *overrides]),
            video=self._video(clip),
            poster=self._poster(clip),
            columns=list(columns),
            pictures=[(s, [(name, self._picture(draw, s)) for name, draw in columns.items()]) for s in stems],
            stages=list(self._times(clip)),
            trained=[{**best, "is_scored": best["name"] in scored} for best in self._trained(clip)],
            scores=scores,
            explanations=[
                text for key, text in EXPLANATIONS.items() if key in {score["scored on"] for score in scores}
            ],
            legend=explain(names),
            good=[GOOD[name] for name in names if name in GOOD],
            score_names=names,
            curves=list(self._curves(clip)),
        )
        try:
            write_output(path := clip.path / "report.html", page.encode())
        except AccessError as error:
            if not path.exists():
                raise
            log.warning("report.html: the old one stays: %s", error)

    def _curves(self, clip: Clip) -> Iterator[CrispnessCurve]:
        """Yield each layer's crispness over time."""
        for layer in clip.layers:
            try:
                curve = measure_crispness(clip, layer)
            except DreamingError as error:
                log.warning("report: %s", error)
                continue
            if curve is not None:
                yield curve

    def _poster(self, clip: Clip) -> str | None:
        """The middle frame of the video."""
        composite = clip.composite
        stems = composite.stems
        return self._picture(composite.read, stems[len(stems) // 2]) if stems else None

    def _compared(self, clip: Clip) -> dict[str, str] | None:
        """The middle frame of the source and of the result."""
        composite = clip.composite
        stems = [stem for stem in clip.stems if stem in composite]
        if not stems:
            return None
        stem = stems[len(stems) // 2]
        drawn = [self._picture(draw, stem, WIDE) for draw in (clip.frames.read, composite.read)]
        return {"stem": stem, "source": drawn[0], "result": drawn[1]} if drawn[0] and drawn[1] else None

    def _suggested(self, clip: Clip) -> Iterator[dict[str, Any]]:
        """Yield the frames that ``suggest`` ranked first and that are not painted yet, by part and layer."""
        painted: dict[str, Any] = {part: clip.split(part).seen for part in clip.parts}
        painted |= {f"keyframes/{layer.folder}": clip.keyframe_folder(layer).stems for layer in clip.layers}
        for name, ranked in (read_record(clip.path / "suggestions.json") or {}).items():
            rows = ranked if isinstance(ranked, list) else []
            stems = [str(row.get("frame")) for row in rows if isinstance(row, dict)]
            stems = [stem for stem in stems if stem in clip.frames and stem not in painted.get(name, ())][:NEXT]
            if stems and name in painted:
                yield {"name": name, "pictures": [(stem, self._picture(clip.frames.read, stem)) for stem in stems]}

    def _overrides(self) -> list[str] | None:
        """The arguments of this run; None if it was not started on the command line."""
        if self.run_folder is None:
            return None
        try:
            overrides = read_plain_yaml(self.run_folder / ".hydra" / "overrides.yaml")
        except (FileNotFoundError, ValueError):
            return None
        return [str(override) for override in overrides] if isinstance(overrides, list) else None

    def _worst(self, clip: Clip, name: str) -> str | None:
        """Path of the latest picture of a masker's worst frames, by its name or PART/NAME in the scores."""
        part, _, masker = name.rpartition("/")
        picture = f"worst-{part or next(iter(clip.parts), '')}-{masker}.png"
        paths = [path for path in clip.path.glob("runs/*/*/worst-*.png") if path.name == picture]
        return str(max(paths, key=lambda path: path.parent.name).relative_to(clip.path)) if paths else None

    def _columns(self, clip: Clip) -> Iterator[tuple[str, Any]]:
        """Yield heading and drawing function of each column."""
        yield "frame", clip.frames.read
        for part in clip.parts:
            root = clip.masks(part, "x").path.parent
            for path in sorted(root.iterdir()) if root.is_dir() else []:
                masks = FrameFolder(path)
                if not masks.is_empty:
                    yield (
                        f"mask: {path.relative_to(clip.path / 'masks')}",
                        lambda stem, masks=masks: overlay(clip.frames.read(stem), masks.read_mask(stem, clip.size)),
                    )
        made = {f"styled: {layer.name}": clip.styled(layer) for layer in clip.layers} | {"composite": clip.composite}
        yield from ((heading, folder.read) for heading, folder in made.items() if not folder.is_empty)

    def _picture(self, draw: Any, stem: str, width: int = WIDTH) -> str | None:
        try:
            return self._embedded(draw(stem), width)
        except DreamingError as error:
            log.warning("report: %s", error)
            return None

    def _embedded(self, image: Image, width: int = WIDTH) -> str:
        if image.shape[1] > width:
            height = max(1, round(image.shape[0] * width / image.shape[1]))
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
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
            validation = "cross-validation" if split.validation == "folds" else "hold-out"
            yield f"{part}: {len(split.nn)} hand masks for the maskers, {validation}"
        for layer in clip.layers:
            yield f"{layer.name}: {len(clip.keyframe_folder(layer))} keyframes"

    def _times(self, clip: Clip) -> Iterator[dict[str, Any]]:
        """Yield what was trained and made, with frames and seconds."""
        for best in self._trained(clip):
            yield {"name": f"training of {best['name']} on {best['subject']}", "seconds": best["seconds"]}
        made = [
            path.parent
            for pattern in ("masks/**", "guides/**", "styled/*")
            for path in sorted(clip.path.glob(f"{pattern}/{MANIFEST}"))
        ]
        folders = [clip.frames.path, clip.path / "flow", clip.path / "filtered", *made, clip.composite.path]
        records = [(str(f.relative_to(clip.path)), Manifest.read(f / MANIFEST)) for f in folders]
        for name, manifest in [*records, ("dream.mp4", Manifest.read(clip.path / "dream.json"))]:
            if manifest is not None:
                yield {"name": name, "frames": manifest.frames, "seconds": manifest.seconds}
        # Of each masker, with all the folds for which it was fitted; the masks are copies of the predictions.
        for folder in sorted({path.parents[1] for path in clip.path.glob(f"predictions/**/{MANIFEST}")}):
            found = [each for path in folder.glob(f"*/{MANIFEST}") if (each := Manifest.read(path)) is not None]
            frames, seconds = sum(each.frames for each in found), sum(each.seconds for each in found)
            yield {"name": str(folder.relative_to(clip.path)), "frames": frames, "seconds": seconds}

    def _trained(self, clip: Clip) -> Iterator[dict[str, Any]]:
        """Yield the best run of each model."""
        for pointer in sorted(clip.path.glob("runs/*/best*.json")):
            best = read_best(pointer)
            if best is not None:
                keys = ("subject", "steps", "seconds", "monitor", "score", "validation")
                facts = {key: getattr(best, key) for key in keys}
                yield {"name": pointer.parent.name, **facts, "picture": self._validation_picture(best)}

    def _validation_picture(self, best: Best) -> str | None:
        folder = best.weights.parents[1]
        for path in (folder / PICTURES, folder / "fold-1" / PICTURES):
            if path.exists():
                return self._embedded(cv2.cvtColor(decode(path), cv2.COLOR_BGR2RGB))
        return None


def _settings(overrides: list[str] | None, clip: Clip) -> list[str]:
    """The arguments of a run on the clip, without its stages."""
    return [each for each in overrides or [f"clip={clip.path}"] if not each.startswith("stages=")]
