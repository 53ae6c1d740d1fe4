"""The scores of the ``evaluate`` stage: their names, tables and files, without what is needed to compute them."""

import csv
import io
import logging
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from rich import get_console
from rich.console import Console
from rich.table import Table

from dreaming.artifacts.record import read_record
from dreaming.clip.clip import Clip

log = logging.getLogger(__name__)

KEYS = ("kind", "name", "scored on")
MATTE = ("alpha MSE", "SAD", "gradient error", "dtSSD")
SCORES = ("IoU", "boundary F", "SSIM", "PSNR", "crispness", "stroke distance", *MATTE)
OVER_TIME = ("flicker", "source flicker")
WIDE = 1000
"""Width of a table, in characters, where no terminal limits it."""

LEGEND = {
    "IoU": "IoU: Jaccard index (J) of the masks' areas.",
    "boundary F": "boundary F: F-measure of their outlines.",
    "PSNR": "PSNR in dB.",
    "crispness": "crispness: fine detail, relative to the painting; stroke distance: 0 for the same strokes.",
    "alpha MSE": "alpha MSE x 1000, SAD and gradient error / 1000, dtSSD x 100, within 10 pixels of soft edges.",
}
"""What the scores are, by the heading of their column."""

GOOD = {
    "IoU": "IoU is 1 for the true mask. From 0.9 a mask is good; below 0.8 more hand masks help.",
    "boundary F": "boundary F is 1 for the true outline. From 0.9 it is good to a pixel or two.",
    "SSIM": "SSIM is 1 for the true painting. From 0.8 strokes lie where the painter puts them.",
    "PSNR": "PSNR is higher for truer colours. From 25 dB they are good.",
    "crispness": "crispness is 1 for strokes as fine as the painter's. Below 0.9 they are blurred.",
    "stroke distance": "stroke distance is 0 for the painter's strokes. Lower is better.",
    "alpha MSE": "Errors of mattes are 0 for the true matte. Lower is better.",
    "flicker": "flicker is good where it is near the flicker of the source or below.",
}
"""What a good value is, by the heading of the score's column."""

Row = dict[str, Any]


def read_scores(clip: Clip) -> list[dict[str, Any]]:
    """Read the scores on ground truth, or else the latest ones on hand masks: ``KEYS``, and numbers by name."""
    paths = [clip.path / "evaluation.json", *sorted(clip.path.glob("runs/*/*/evaluation.json"), reverse=True)]
    path = next((path for path in paths if path.exists()), None)
    summary = [] if path is None else (read_record(path) or {}).get("summary")
    if not are_scores(summary):
        log.warning("%s: not shown, because it is damaged; stages=[evaluate] writes it again", path)
        return []
    assert isinstance(summary, list)
    return summary


def are_scores(summary: object) -> bool:
    """Whether data from a file is a list of ``KEYS`` and numbers by name."""
    return isinstance(summary, list) and all(map(_is_score, summary))


def _is_score(score: object) -> bool:
    if not isinstance(score, dict):
        return False
    numbers = [value for key, value in score.items() if key not in KEYS]
    return all(isinstance(score.get(key), str) for key in KEYS) and all(isinstance(n, int | float) for n in numbers)


def mean_row(rows: list[Row]) -> Row:
    """Average the scores of some frames, each over the frames that have it."""
    values = {key: fmean(row[key] for row in rows if key in row) for key in SCORES if any(key in row for row in rows)}
    return {**{key: rows[0][key] for key in KEYS}, "frames": len(rows), **values}


def as_csv(rows: list[Row]) -> str:
    """Write the scores of frames as CSV."""
    out = io.StringIO()
    writer = csv.DictWriter(out, [*KEYS, "frame", *SCORES], restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def explain(names: Sequence[str]) -> str:
    """Explain the scores in these columns."""
    return " ".join(text for name, text in LEGEND.items() if name in names)


def _as_table(summary: list[Row]) -> Table:
    names = [name for name in (*SCORES, *OVER_TIME) if any(name in row for row in summary)]
    table = Table(*KEYS, "frames", *names, caption=explain(names) or None)
    for row in sorted(summary, key=lambda row: -row.get("IoU", 0.0)):
        values = [f"{row[name]:.4f}" if name in row else "" for name in names]
        table.add_row(*(row[key] for key in KEYS), str(row["frames"]), *values)
    return table


def print_table(summary: list[Row]) -> None:
    """Print all cells of a table of scores; without a terminal, rich would cut them to fit 80 columns."""
    console = get_console()
    if not console.is_terminal:
        console = Console(width=WIDE, quiet=console.quiet)
    console.print(_as_table(summary))
