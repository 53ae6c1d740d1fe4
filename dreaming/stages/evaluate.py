"""The ``evaluate`` stage: masks where they learnt from no hand mask, or masks and frames against a folder of truth."""

import csv
import io
import json
import logging
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, ClassVar

import torch
from pytorch_lightning.loggers import Logger
from rich import get_console
from rich.table import Table

from dreaming.clip.clip import Clip
from dreaming.errors import ClipError
from dreaming.flow.dis import DisFlow
from dreaming.flow.temporal_filter import MaskSmoothing
from dreaming.io.atomic import write_atomically
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.image import encode_png
from dreaming.io.manifest import MANIFEST, NO_EFFECT, Manifest, describe
from dreaming.io.prefetch import prefetch_map
from dreaming.io.types import Mask
from dreaming.maskers.base import Masker
from dreaming.metrics.similarity import FramePSNR, FrameSSIM
from dreaming.stages.base import Stage
from dreaming.stages.mask_scores import AppearanceFeatures, rows_of, scores, unseen, with_base_maskers, worst_frames
from dreaming.stages.stability import mask_stability, styled_flicker
from dreaming.training import run_registry as runs
from dreaming.training.image_logging import send
from dreaming.training.loggers import finish, log_table

log = logging.getLogger(__name__)

Row = dict[str, Any]

SCORES = ("J", "F", "accuracy", "SSIM", "PSNR")
OVER_TIME = ("flicker", "source flicker")


@dataclass
class EvaluateStage(Stage):
    """Score what was made, show a table, and write ``evaluation.json`` and ``evaluation.csv``.

    Against a folder of truth they lie in the clip; frames that have a hand mask (but for the test ones), or are a
    keyframe, are left out, for their truth was given away. Without one every masker is scored at hand masks that it
    has not learnt from, in the run's folder, with nothing written to ``masks/``. Pictures lie in the run's folder.

    Attributes:
        maskers: The selected maskers by name.
        masker: Whose mean Jaccard index a sweep maximises; None for the last selected one.
        truth: Folder of true masks, named like the frames; with parts, a folder of each part's name in it.
        styled_truth: Folder of truly stylised frames; with several layers, a folder of each layer's name in it.
        folds: In which masks are left out where none is held back; as the ensemble's own, to use what it has fitted.
        tests: Whether masks in test folders are what is scored, where there are any; not where a sweep chooses by it.
        smooth: How masks are averaged over time, as ``mask`` does it; None: not.
        flow: How the flow is computed along which flicker is told; None: flicker is not told.
        worst: Frames shown of those where a masker does worst.
        loggers: Build the loggers by name.
    """

    kind: ClassVar[str] = "evaluate_stage"

    name: ClassVar[str] = "evaluate"
    reads: ClassVar[tuple[str, ...]] = ("mask", "stylise")
    reads_its_share: ClassVar[bool] = True  # what is there is scored, and by the last share all

    maskers: Mapping[str, Masker]
    masker: str | None = None
    truth: Path | None = None
    styled_truth: Path | None = None
    folds: int = 5
    tests: bool = True
    smooth: MaskSmoothing | None = None
    flow: DisFlow | None = None
    worst: int = 3
    loggers: Mapping[str, Callable[..., Logger]] = field(default_factory=dict, metadata=NO_EFFECT)

    def __post_init__(self) -> None:
        if self.smooth is not None and self.smooth.sigma is None:
            self.smooth = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """What it compares with a truth; without one it looks at hand-masked frames only, which it masks by itself."""
        truths = {"mask": self.truth, "stylise": self.styled_truth}
        return tuple(name for name in self.reads if truths[name]) or ("extract",)

    @property
    def _has_truth(self) -> bool:
        return bool(self.truth or self.styled_truth)

    def skips(self, clip: Clip) -> str | None:
        """Without truth or hand masks there is nothing to compare with."""
        if self._has_truth or clip.parts:
            return None
        return "no truth is named (stage.evaluate.truth), and the clip has no hand masks"

    def run(self, clip: Clip) -> float | None:
        """Score, show a table, write the files; the mean Jaccard index of the chosen masker over all parts."""
        records = self.run_folder or runs.new_folder(clip.runs("evaluate"))
        folder = clip.path if self._has_truth else records
        pictures: list[Path] = []
        rows = (
            [*self._mask_rows(clip, records, pictures), *self._styled_rows(clip)]
            if self._has_truth
            else self._unseen(clip, records, pictures)
        )
        what = sorted({(row["kind"], row["of"]) for row in rows})
        summary = [_mean([row for row in rows if (row["kind"], row["of"]) == key]) for key in what]
        areas = self._add_stability(clip, summary)
        data = json.dumps({"summary": summary, "frames": rows, "areas": areas}, indent=1) + "\n"
        write_atomically(folder / "evaluation.json", data.encode())
        write_atomically(folder / "evaluation.csv", _as_csv(rows).encode())
        get_console().print(_as_table(summary, "against the truth" if self._has_truth else "at masks not learnt from"))
        self._log(records, summary, pictures)
        chosen = [row["J"] for row in summary if "J" in row and row["of"].split("/")[-1] == self.chosen]
        return fmean(chosen) if chosen else None

    @property
    def chosen(self) -> str | None:
        """The masker whose score counts."""
        return self.masker or next(reversed(list(self.maskers)), None)

    # -- at hand masks that were not learnt from

    def _unseen(self, clip: Clip, folder: Path, pictures: list[Path]) -> list[Row]:
        rows: list[Row] = []
        for part in clip.parts:
            evidence = unseen(clip, part, with_base_maskers(self.maskers), self.folds, self.smooth, self.tests)
            prefix = "" if len(clip.parts) == 1 else f"{part}/"
            found = list(rows_of(evidence, prefix))
            log.info("evaluate: %s, %d masks of %s", evidence.how, len(evidence.truth), part)
            for name in self.maskers:
                own = [row for row in found if row["of"] == prefix + name]
                pictures += self._show(folder / f"worst-{part}-{name}.png", own, partial(evidence.look, name))
            rows += found
        return rows

    def _show(self, path: Path, rows: Sequence[Row], look: Callable[[str], AppearanceFeatures]) -> list[Path]:
        """Draw the frames where one masker does worst; where they are drawn, if any are."""
        if not rows or not self.worst:
            return []
        write_atomically(path, encode_png(worst_frames(rows, self.worst, look)))
        return [path]

    # -- against the truth

    def _mask_rows(self, clip: Clip, folder: Path, pictures: list[Path]) -> Iterator[Row]:
        for part in clip.parts if self.truth else []:
            truth = _folder(Path(str(self.truth)), part, clip.parts, "stage.evaluate.truth")
            seen = clip.split(part).seen
            for masker in self.maskers:
                masks = clip.masks(part, masker)
                if not len(masks):
                    log.warning("evaluate: %s holds no masks, and is left out", masks.path)
                    continue
                stems = _not_given_away(truth, masks, seen)

                def both(stem: str, masks: FrameFolder = masks, truth: FrameFolder = truth) -> tuple[Mask, Mask]:
                    return masks.read_mask(stem, clip.size), truth.read_mask(stem, clip.size)

                def score(stem: str, both: Callable[[str], tuple[Mask, Mask]] = both) -> Row:
                    return {"frame": stem, **scores(*both(stem))}

                def look(stem: str, both: Callable[[str], tuple[Mask, Mask]] = both) -> AppearanceFeatures:
                    return clip.frames.read(stem), *both(stem)

                name = masker if len(clip.parts) == 1 else f"{part}/{masker}"
                rows = [{"kind": "masks", "of": name, **row} for row in prefetch_map(score, stems, 2)]
                pictures += self._show(folder / f"worst-{part}-{masker}.png", rows, look)
                yield from rows

    def _styled_rows(self, clip: Clip) -> Iterator[Row]:
        layers = clip.layers if self.styled_truth else []
        for layer in layers:
            names = [layer.name for layer in layers]
            truth = _folder(Path(str(self.styled_truth)), layer.name, names, "stage.evaluate.styled_truth")
            styled, metrics = clip.styled(layer), {"SSIM": FrameSSIM(), "PSNR": FramePSNR()}
            for stem in _not_given_away(truth, styled, clip.keyframe_folder(layer).stems):
                found, true = (
                    torch.from_numpy(folder.read(stem, clip.size)).permute(2, 0, 1)[None] / 255
                    for folder in (styled, truth)
                )
                yield {
                    "kind": "styled",
                    "of": layer.name,
                    "frame": stem,
                    **{name: float(metric(found, true)) for name, metric in metrics.items()},
                }

    # -- over time

    def _add_stability(self, clip: Clip, summary: list[Row]) -> dict[str, dict[str, float]]:
        """Put flicker beside the scores of whatever lies in the clip as it is set now; areas of masks by frame."""
        areas: dict[str, dict[str, float]] = {}
        if self.flow is None:
            return areas
        rows = {(row["kind"].split(",")[0], row["of"]): row for row in summary}
        for part in clip.parts:
            for name, masker in self.maskers.items():
                row = rows.get(("masks", name if len(clip.parts) == 1 else f"{part}/{name}"))
                masks = clip.masks(part, name)
                if row is not None and _is_of(masks, masker):
                    row["flicker"], areas[row["of"]] = mask_stability(clip, masks, self.flow)
        for layer in clip.layers if self.styled_truth else []:
            row = rows.get(("styled", layer.name))
            if row is not None:
                row["flicker"], row["source flicker"] = styled_flicker(clip, clip.styled(layer), self.flow)
        return areas

    def _log(self, folder: Path, summary: list[Row], pictures: Sequence[Path]) -> None:
        columns = ["kind", "of", "frames", *SCORES, *OVER_TIME]
        for build in (build for name, build in self.loggers.items() if name != "csv"):
            logger = build(save_dir=str(folder))
            log_table(logger, "evaluation", columns, [[row.get(column) for column in columns] for row in summary])
            send(logger, pictures, "worst frames")
            finish(logger)


def _is_of(masks: FrameFolder, masker: Masker) -> bool:
    """Whether a folder holds masks of this masker as it is set now."""
    made = Manifest.read(masks.path / MANIFEST)
    return made is not None and made.config.get("masker") == json.loads(json.dumps(describe(masker)))


def _not_given_away(truth: FrameFolder, made: FrameFolder, seen: Container[str]) -> list[str]:
    stems = [stem for stem in truth.stems if stem in made and stem not in seen]
    if not stems:
        log.warning("evaluate: %s has no frame of %s whose truth was not given away", truth.path, made.path)
    return stems


def _folder(path: Path, name: str, names: Sequence[str], key: str) -> FrameFolder:
    folder = FrameFolder(path if len(names) == 1 else path / name)
    if not len(folder):
        raise ClipError(key, found=f"no pictures in {folder.path}", expected="true pictures", hint="correct the path")
    return folder


def _mean(rows: list[Row]) -> Row:
    values = {key: fmean(row[key] for row in rows) for key in rows[0] if key in SCORES}
    return {"kind": rows[0]["kind"], "of": rows[0]["of"], "frames": len(rows), **values}


def _as_csv(rows: list[Row]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, ["kind", "of", "frame", *SCORES], restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _as_table(summary: list[Row], title: str) -> Table:
    names = [name for name in (*SCORES, *OVER_TIME) if any(name in row for row in summary)]
    table = Table("what", "frames", *names, title=title)
    for row in sorted(summary, key=lambda row: -row.get("J", 0.0)):
        values = [f"{row[name]:.4f}" if name in row else "" for name in names]
        table.add_row(f"{row['kind']} {row['of']}", str(row["frames"]), *values)
    return table
