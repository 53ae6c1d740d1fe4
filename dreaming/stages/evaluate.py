"""The ``evaluate`` stage: scores of masks and stylised frames."""

import json
import logging
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Annotated, ClassVar

import torch
from pytorch_lightning.loggers import Logger

from dreaming.artifacts.fingerprint import NO_EFFECT, describe
from dreaming.artifacts.manifest import MANIFEST, Manifest
from dreaming.artifacts.output_file import write_output
from dreaming.clip.clip import Clip
from dreaming.constraints import NonNegativeInt, Range
from dreaming.errors import ClipError
from dreaming.flow.dis import DisFlow
from dreaming.flow.temporal_filter import MaskSmoothing
from dreaming.io.atomic import write_atomically
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.image import encode_png
from dreaming.io.picture_check import check_pictures
from dreaming.io.prefetch import prefetch_map
from dreaming.io.types import Size
from dreaming.maskers.base import Masker
from dreaming.metrics.similarity import FramePSNR, FrameSSIM
from dreaming.metrics.strokes import Crispness, StrokeDistance
from dreaming.stages.base import Stage
from dreaming.stages.scores.masks import Comparison, predict_held_out, scores, with_base_maskers, worst_frames
from dreaming.stages.scores.mattes import matte_rows
from dreaming.stages.scores.record import KEYS, OVER_TIME, SCORES, Row, as_csv, mean_row, print_table
from dreaming.stages.scores.stability import mask_stability, styled_flicker
from dreaming.training import run_registry as runs
from dreaming.training.image_logging import send
from dreaming.training.loggers import finish, log_table

log = logging.getLogger(__name__)

STYLE = {"SSIM": FrameSSIM, "PSNR": FramePSNR, "crispness": Crispness, "stroke distance": StrokeDistance}


@dataclass
class EvaluateStage(Stage):
    """Score masks and stylised frames, print a table, and write ``evaluation.json`` and ``evaluation.csv``.

    With a folder of ground truth, the files are written to the clip. Frames with a hand mask (other than test masks)
    and keyframes are not scored, because they were inputs. Without ground truth, maskers are scored on hand masks that
    they are not trained on, and the files are written to the run's folder, as are pictures.

    Attributes:
        masker: Masker whose mean IoU a sweep maximises; None: the last selected one.
        truth: Folder of true masks, named like the frames; with several parts, it has a subfolder for each.
        matte_truth: Folder of true alpha mattes, such as ``truth/alpha`` of the furry demo, with subfolders alike.
        styled_truth: Folder of true stylised frames; with several layers, it has a subfolder for each.
        folds: Folds of the cross-validation; with the ensemble's own number, its fits are reused.
        tests: Whether to score on the masks of test folders, where there are any; false in a sweep.
        smooth: Averages masks over time, as in the ``mask`` stage; None: no smoothing.
        flow: Optical flow along which flicker is measured; None: flicker is not measured.
        worst: Number of a masker's worst frames that are drawn.
    """

    name: ClassVar[str] = "evaluate"
    reads: ClassVar[tuple[str, ...]] = ("mask", "matte", "stylise")
    reads_its_share: ClassVar[bool] = True  # scores what exists; the last shard scores everything

    maskers: Mapping[str, Masker]
    masker: str | None = None
    truth: Path | None = None
    matte_truth: Path | None = None
    styled_truth: Path | None = None
    folds: Annotated[int, Range(ge=2)] = 5
    tests: bool = True
    smooth: MaskSmoothing | None = None
    flow: DisFlow | None = None
    worst: NonNegativeInt = 3
    loggers: Mapping[str, Callable[..., Logger]] = field(default_factory=dict, metadata=NO_EFFECT)

    def __post_init__(self) -> None:
        if self.smooth is not None and self.smooth.sigma is None:
            self.smooth = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """Stages whose output is compared with a ground truth; without one, the frames are enough."""
        truths = {"mask": self.truth, "matte": self.matte_truth, "stylise": self.styled_truth}
        return tuple(name for name in self.reads if truths[name]) or ("extract",)

    @property
    def _has_truth(self) -> bool:
        return bool(self.truth or self.matte_truth or self.styled_truth)

    def skips(self, clip: Clip) -> str | None:
        """Skip a clip with neither ground truth nor hand masks."""
        if self._has_truth or clip.parts:
            return None
        return "no ground truth is set (stage.evaluate.truth), and the clip has no hand masks"

    def check(self, clip: Clip) -> None:
        """Check the true pictures."""
        named = ((self.truth, clip.parts), (self.styled_truth, [layer.name for layer in clip.layers]))
        for path in (path for truth, names in named if truth for path in (truth, *(Path(truth) / n for n in names))):
            check_pictures(FrameFolder(Path(path)), clip.size)

    def run(self, clip: Clip) -> float | None:
        """Score, print and write; return the mean IoU of the chosen masker over all parts."""
        records = self.run_folder or runs.new_folder(clip.runs("evaluate"))
        folder = clip.path if self._has_truth else records
        pictures: list[Path] = []
        rows = (
            [*self._mask_rows(clip, records, pictures), *self._matte_rows(clip), *self._styled_rows(clip)]
            if self._has_truth
            else self._held_out_rows(clip, records, pictures)
        )
        groups = sorted({tuple(row[key] for key in KEYS) for row in rows})
        summary = [mean_row([row for row in rows if tuple(row[key] for key in KEYS) == group]) for group in groups]
        areas = self._add_stability(clip, summary)
        data = json.dumps({"summary": summary, "frames": rows, "areas": areas}, indent=1) + "\n"
        write_output(folder / "evaluation.json", data.encode())
        write_output(folder / "evaluation.csv", as_csv(rows).encode())
        if summary:
            print_table(summary)
        self._log(records, summary, pictures)
        chosen = [row["IoU"] for row in summary if "IoU" in row and row["name"].split("/")[-1] == self.chosen]
        return fmean(chosen) if chosen else None

    @property
    def chosen(self) -> str | None:
        """The masker whose score is returned."""
        return self.masker or next(reversed(list(self.maskers)), None)

    # -- on hand masks

    def _held_out_rows(self, clip: Clip, folder: Path, pictures: list[Path]) -> list[Row]:
        rows: list[Row] = []
        for part in clip.parts:
            split = clip.split(part)
            if len(split.nn) < 2 and not (self.tests and split.tests):
                log.warning("evaluate: %s has a single hand mask, so no masker is scored", part)
                continue
            maskers = with_base_maskers(self.maskers, clip, part)
            predictions = predict_held_out(clip, part, maskers, self.folds, self.smooth, self.tests)
            own = list(predictions.rows(_prefix(clip, part)))
            log.info("evaluate: %d frames of %s, %s", len(predictions.truth), part, predictions.scored_on)
            for name in self.maskers:
                scored = [row for row in own if row["name"] == _prefix(clip, part) + name]
                pictures += self._draw(folder / f"worst-{part}-{name}.png", scored, partial(predictions.compare, name))
            rows += own
        return rows

    def _draw(self, path: Path, rows: Sequence[Row], compare: Callable[[str], Comparison]) -> list[Path]:
        """Draw a masker's worst frames; return the path, or nothing if there are no frames to draw."""
        if not rows or not self.worst:
            return []
        write_atomically(path, encode_png(worst_frames(rows, self.worst, compare)))
        return [path]

    # -- on ground truth

    def _mask_rows(self, clip: Clip, folder: Path, pictures: list[Path]) -> Iterator[Row]:
        for part in clip.parts if self.truth else []:
            truth = _folder(Path(str(self.truth)), part, clip.parts, "stage.evaluate.truth")
            for masker in self.maskers:
                masks = clip.masks(part, masker)
                if not len(masks):
                    log.warning("evaluate: %s holds no masks and is ignored", masks.path)
                    continue
                key = {"kind": "masks", "name": _prefix(clip, part) + masker, "scored on": "ground truth"}
                stems = _scorable(truth, masks, clip.split(part).seen)
                scored = prefetch_map(partial(_score, masks, truth, clip.size), stems, 2)
                rows = [{**key, **row} for row in scored]
                compare = partial(_compare, clip, masks, truth)
                pictures += self._draw(folder / f"worst-{part}-{masker}.png", rows, compare)
                yield from rows

    def _matte_rows(self, clip: Clip) -> Iterator[Row]:
        for part in clip.parts if self.matte_truth and self.chosen else []:
            truth = _folder(Path(str(self.matte_truth)), part, clip.parts, "stage.evaluate.matte_truth")
            mattes = clip.mattes(part, str(self.chosen))
            key = {"kind": "mattes", "name": _prefix(clip, part) + str(self.chosen), "scored on": "ground truth"}
            stems = _scorable(truth, mattes, clip.split(part).seen)
            yield from ({**key, **row} for row in matte_rows(clip, mattes, truth, stems))

    def _styled_rows(self, clip: Clip) -> Iterator[Row]:
        layers = clip.layers if self.styled_truth else []
        for layer in layers:
            names = [layer.name for layer in layers]
            truth = _folder(Path(str(self.styled_truth)), layer.name, names, "stage.evaluate.styled_truth")
            styled, metrics = clip.styled(layer), {name: metric() for name, metric in STYLE.items()}
            key = {"kind": "styled", "name": layer.name, "scored on": "ground truth"}
            for stem in _scorable(truth, styled, clip.keyframe_folder(layer).stems):
                pair = (folder.read(stem, clip.size) for folder in (styled, truth))
                images = [torch.from_numpy(image).permute(2, 0, 1)[None] / 255 for image in pair]
                yield {**key, "frame": stem, **{name: float(metric(*images)) for name, metric in metrics.items()}}

    # -- over time

    def _add_stability(self, clip: Clip, summary: list[Row]) -> dict[str, dict[str, float]]:
        """Add flicker to the rows of masks and stylised frames that are up to date; return mask areas by frame."""
        areas: dict[str, dict[str, float]] = {}
        if self.flow is None:
            return areas
        rows = {(row["kind"], row["name"]): row for row in summary}
        for part in clip.parts:
            for name, masker in self.maskers.items():
                row = rows.get(("masks", _prefix(clip, part) + name))
                masks = clip.masks(part, name)
                if row is not None and _is_of(masks, masker):
                    row["flicker"], areas[row["name"]] = mask_stability(clip, masks, self.flow)
        for layer in clip.layers if self.styled_truth else []:
            row = rows.get(("styled", layer.name))
            if row is not None:
                row["flicker"], row["source flicker"] = styled_flicker(clip, clip.styled(layer), self.flow)
        return areas

    def _log(self, folder: Path, summary: list[Row], pictures: Sequence[Path]) -> None:
        columns = [*KEYS, "frames", *SCORES, *OVER_TIME]
        for build in (build for name, build in self.loggers.items() if name != "csv"):
            logger = build(save_dir=str(folder))
            log_table(logger, "evaluation", columns, [[row.get(column) for column in columns] for row in summary])
            send(logger, pictures, "worst frames")
            finish(logger)


def _prefix(clip: Clip, part: str) -> str:
    return "" if len(clip.parts) == 1 else f"{part}/"


def _score(masks: FrameFolder, truth: FrameFolder, size: Size, stem: str) -> Row:
    return {"frame": stem, **scores(masks.read_mask(stem, size), truth.read_painted_mask(stem, size))}


def _compare(clip: Clip, masks: FrameFolder, truth: FrameFolder, stem: str) -> Comparison:
    return clip.frames.read(stem), masks.read_mask(stem, clip.size), truth.read_painted_mask(stem, clip.size)


def _is_of(masks: FrameFolder, masker: Masker) -> bool:
    """Whether a folder holds masks of this masker with its current config."""
    made = Manifest.read(masks.path / MANIFEST)
    return made is not None and made.config.get("masker") == json.loads(json.dumps(describe(masker)))


def _scorable(truth: FrameFolder, made: FrameFolder, inputs: Container[str]) -> list[str]:
    """Frames with a ground truth that is not an input."""
    stems = [stem for stem in truth.stems if stem in made and stem not in inputs]
    if not stems:
        log.warning("evaluate: no frame of %s has a ground truth in %s that is not an input", made.path, truth.path)
    return stems


def _folder(path: Path, name: str, names: Sequence[str], key: str) -> FrameFolder:
    folder = FrameFolder(path if len(names) == 1 else path / name)
    if not len(folder):
        raise ClipError(key, found=f"no images in {folder.path}", expected="a folder of ground truth")
    return folder
