"""The ``evaluate`` stage: masks and stylised frames against the truth, where somebody has it."""

import csv
import io
import json
import logging
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, ClassVar

import torch
from rich import get_console
from rich.table import Table
from torchmetrics.functional.classification import binary_jaccard_index

from dreaming.errors import ClipError
from dreaming.frames.arrays import Mask
from dreaming.frames.clip import Clip
from dreaming.frames.folder import FrameFolder, ahead, write_atomically
from dreaming.maskers.base import Masker
from dreaming.maskers.out_of_fold_score import jaccard_of
from dreaming.metrics.boundary import boundary_f
from dreaming.metrics.likeness import psnr, ssim
from dreaming.stages.base import Stage

log = logging.getLogger(__name__)

Row = dict[str, Any]


@dataclass
class EvaluateStage(Stage):
    """Score what was made and write ``evaluation.json`` and ``evaluation.csv``.

    Frames that have a hand mask (but for the test ones), or are a keyframe, are left out: their truth was given away.

    Attributes:
        maskers: Names of the selected maskers.
        truth: Folder of true masks, named like the frames; with parts, a folder of each part's name in it.
        styled_truth: Folder of truly stylised frames; with several layers, a folder of each layer's name in it.
        out_of_fold: Maskers to score on hand masks that they have not seen instead, writing nothing; None for none.
    """

    name: ClassVar[str] = "evaluate"
    reads: ClassVar[tuple[str, ...]] = ("mask", "stylise")

    maskers: Sequence[str]
    truth: Path | None = None
    styled_truth: Path | None = None
    out_of_fold: Mapping[str, Masker] | None = None

    def __post_init__(self) -> None:
        if self.out_of_fold:
            self.reads = ("extract",)  # type: ignore[misc]

    def skips(self, clip: Clip) -> str | None:
        """Without truth there is nothing to compare with."""
        if self.out_of_fold:
            return None if clip.parts else "the clip has no hand masks"
        return None if self.truth or self.styled_truth else "no truth is named (stage.evaluate.truth)"

    def run(self, clip: Clip) -> float | None:
        """Score, show a table, write the files."""
        if self.out_of_fold:
            scores = [jaccard_of(masker, clip) for masker in self.out_of_fold.values()]
            log.info("evaluate: %s", ", ".join(f"{n} {s:.4f}" for n, s in zip(self.out_of_fold, scores, strict=True)))
            return fmean(scores)
        rows = [*self._mask_rows(clip), *self._styled_rows(clip)]
        what = sorted({(row["kind"], row["of"]) for row in rows})
        summary = [_mean([row for row in rows if (row["kind"], row["of"]) == key]) for key in what]
        data = json.dumps({"summary": summary, "frames": rows}, indent=1) + "\n"
        write_atomically(clip.path / "evaluation.json", data.encode())
        write_atomically(clip.path / "evaluation.csv", _as_csv(rows).encode())
        get_console().print(_as_table(summary))
        return None

    def _mask_rows(self, clip: Clip) -> Iterator[Row]:
        for part in clip.parts if self.truth else []:
            truth = _folder(Path(str(self.truth)), part, clip.parts, "stage.evaluate.truth")
            seen = clip.split(part).seen
            for masker in self.maskers:
                masks = clip.masks(part, masker)
                if not len(masks):
                    log.warning("evaluate: %s holds no masks, and is left out", masks.path)
                    continue
                stems = _unseen(truth, masks, seen)

                def score(stem: str, masks: FrameFolder = masks, truth: FrameFolder = truth) -> Row:
                    found, true = masks.read_mask(stem, clip.size), truth.read_mask(stem, clip.size)
                    return {"frame": stem, "J": _jaccard(found, true), "F": boundary_f(found, true)}

                name = masker if len(clip.parts) == 1 else f"{part}/{masker}"
                for row in ahead(score, stems, 2):
                    yield {"kind": "masks", "of": name, **row}

    def _styled_rows(self, clip: Clip) -> Iterator[Row]:
        layers = clip.layers if self.styled_truth else []
        for layer in layers:
            names = [layer.name for layer in layers]
            truth = _folder(Path(str(self.styled_truth)), layer.name, names, "stage.evaluate.styled_truth")
            styled = clip.styled(layer)
            for stem in _unseen(truth, styled, clip.keyframe_folder(layer).stems):
                found, true = (
                    torch.from_numpy(folder.read(stem, clip.size)).permute(2, 0, 1)[None] / 255
                    for folder in (styled, truth)
                )
                yield {
                    "kind": "styled",
                    "of": layer.name,
                    "frame": stem,
                    "SSIM": float(ssim(found, true)),
                    "PSNR": float(psnr(found, true)),
                }


def _unseen(truth: FrameFolder, made: FrameFolder, seen: Container[str]) -> list[str]:
    stems = [stem for stem in truth.stems if stem in made and stem not in seen]
    if not stems:
        log.warning("evaluate: %s has no frame of %s whose truth was not given away", truth.path, made.path)
    return stems


def _jaccard(found: Mask, truth: Mask) -> float:
    return float(binary_jaccard_index(torch.from_numpy(found), torch.from_numpy(truth), zero_division=1.0))


def _folder(path: Path, name: str, names: Sequence[str], key: str) -> FrameFolder:
    folder = FrameFolder(path if len(names) == 1 else path / name)
    if not len(folder):
        raise ClipError(key, found=f"no pictures in {folder.path}", expected="true pictures", mend="correct the path")
    return folder


def _mean(rows: list[Row]) -> Row:
    values = {key: fmean(row[key] for row in rows) for key in rows[0] if key in ("J", "F", "SSIM", "PSNR")}
    return {"kind": rows[0]["kind"], "of": rows[0]["of"], "frames": len(rows), **values}


def _as_csv(rows: list[Row]) -> str:
    out = io.StringIO()
    names = ["kind", "of", "frame", "J", "F", "SSIM", "PSNR"]
    writer = csv.DictWriter(out, names, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _as_table(summary: list[Row]) -> Table:
    names = ["J", "F", "SSIM", "PSNR"]
    table = Table("what", "frames", *names, title="against the truth")
    for row in summary:
        values = [f"{row[name]:.4f}" if name in row else "" for name in names]
        table.add_row(f"{row['kind']} {row['of']}", str(row["frames"]), *values)
    return table
