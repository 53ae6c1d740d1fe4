"""Variants of style transfer on real sequences, by the real command, scored against the true painted frames.

    python benchmarks/style_variants.py [CLIP ...] [--variants NAME ...] [--seconds 150 | --steps 250] [--frames 24]
                                        [--keyframes 2] [--threads 1] [--define NAME KEY=VALUE ...] [--keep DIR]
                                        [--data DIR] [--make make_clip.py] [--score frames.py] [KEY=VALUE ...]

A CLIP is the name of a sequence, which is made into a clip with --keyframes painted frames; or FOLDER:KEY+KEY, a
folder with frames/, stylised/, of which the named keyframes are taken, and check/, true painted frames. Of long clips
one stretch of about --frames neighbours is stylised, the same for all variants. Flow, filtered frames and guides are
made once for each clip, before anything is timed.

Learning rates are scheduled to the budget, so each cell is a training of its own. On a machine that others use, too, a
budget in --steps (a multiple of model.style.validate_every) compares variants fairly, one in --seconds only as far as
the steps are alike. --define adds a variant; further KEY=VALUE are handed to `dreaming` for all of them. What is still
there in --keep is not made again.

Prints one table: SSIM and PSNR against the painter; flicker along the flow, as a ratio to that of the frames;
sharpness, as the ratio of the mean gradient to the painter's, for SSIM alone rewards blur; the painter's own flicker;
steps and seconds of the training; CPU-seconds and peak memory of the whole command.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

import torch
from rich.console import Console
from rich.table import Table

from dreaming.clip.clip import Clip
from dreaming.io.frame_folder import FrameFolder
from dreaming.losses.style import gradient

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
LAYER = "painted"
VARIANTS = {
    "plain": ["guides=[]"],
    "guided": ["guides=[propagated]"],
    "canvas": ["guides=[propagated,canvas]"],
    "gauss": ["guides=[gauss]"],
    "gauss+guided": ["guides=[gauss,carried]"],
    "filtered": ["guides=[]", "model.style.filtered=true"],
    "filtered+guided": ["guides=[propagated]", "model.style.filtered=true"],
    "filtered+gauss": ["guides=[gauss]", "model.style.filtered=true"],
    "fspbt": ["guides=[propagated]", "generator=fspbt"],
}
DEFAULT = [name for name in VARIANTS if name not in ("filtered", "fspbt")]


@dataclass(frozen=True)
class Case:
    """A clip without masks, painted as a whole, and its true painted frames."""

    name: str
    clip: Clip
    truth: FrameFolder


@dataclass
class Cell:
    """What came of one training.

    Attributes:
        clip: Which clip.
        variant: Which variant.
        budget: It was trained for.
        stretch: First and last frame that was stylised.
        scores: ssim, psnr, flicker, sharpness, and the painter's own flicker where all his frames are known.
        steps: Of the training.
        seconds: It took.
        cpu_seconds: Of the whole command.
        memory: Its peak resident size, in GB.
    """

    clip: str
    variant: str
    budget: str
    stretch: tuple[str, str]
    scores: dict[str, float]
    steps: int
    seconds: float
    cpu_seconds: float
    memory: float


@dataclass(frozen=True)
class Ran:
    """What a child process said, and what it cost."""

    said: str
    cpu_seconds: float
    memory: float


def run(command: Sequence[str | Path], threads: int) -> Ran:
    """Run a Python program in a child process of so many threads."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT), "COLUMNS": "250"}
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, *command], env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read()
    if process.returncode:
        sys.exit(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{said[-4000:]}")
    return Ran(said, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e6)


def dream(clip: Clip, threads: int, *arguments: str) -> Ran:
    """Run `dreaming` on a clip."""
    return run(["-m", "dreaming", f"clip={clip.path}", f"threads={threads}", "logger=csv", *arguments], threads)


def prepare(asked: str, options: argparse.Namespace, place: Path) -> Case:
    """Make the clip with its flow; all of it becomes one layer, so that no masks are needed."""
    folder, _, keys = asked.partition(":")
    name = f"{Path(folder).name} {keys or options.keyframes}"
    path = place / name.replace(" ", "-")
    truth = path.with_name(path.name + "-truth") / "styled"
    if not path.exists():
        if keys:
            shutil.copytree(Path(folder) / "frames", path / "frames")
            shutil.copytree(Path(folder) / "check", truth)
            painted = path / "keyframes" / LAYER
            painted.mkdir(parents=True)
            for key in keys.split("+"):
                for picture in (Path(folder) / "stylised").glob(f"{key}.*"):
                    shutil.copy(picture, painted)
        else:
            data = [] if options.data is None else ["--data", options.data]
            run([options.make, folder, path, "--keyframes", str(options.keyframes), *data], 1)
            shutil.rmtree(path / "hand_masks")
        (path / "clip.yaml").write_text(f"layers: [{{name: {LAYER}}}]\n")
    clip = Clip(path)
    dream(clip, options.threads, "stages=[flow]")
    return Case(name, clip, FrameFolder(truth))


def measure(case: Case, variant: str, overrides: Sequence[str], options: argparse.Namespace, budget: str) -> Cell:
    """Train and stylise one stretch of the clip; its frames are kept beside the clip."""
    kept = case.clip.path.with_name(f"{case.clip.path.name}-styled") / f"{variant}-{budget.replace(' ', '')}"
    record = kept.with_suffix(".json")
    if record.exists():
        return Cell(**json.loads(record.read_text()))
    stems = case.clip.stems
    shares = max(1, round(len(stems) / options.frames))
    # The middle one: it lies between keyframes and beside one.
    share = f"shard={shares // 2 + 1}/{shares}"
    overrides = [*options.overrides, *overrides]
    # Stages that are named are run for the whole clip; what is not asked for, they skip.
    wanted = ["filter", "guide"] if "model.style.filtered=true" in overrides else ["guide"]
    dream(case.clip, options.threads, f"stages=[{','.join(wanted)}]", *overrides)
    shutil.rmtree(case.clip.path / "styled", ignore_errors=True)
    shutil.rmtree(case.clip.path / "runs", ignore_errors=True)
    amount, unit = budget.split()
    key = "max_time" if unit == "s" else "max_steps"
    # A training that has steps for its budget takes what time it needs.
    limits = [f"model.style.budget.{key}={amount}", *([] if unit == "s" else ["model.style.limits.max_time=null"])]
    ran = dream(case.clip, options.threads, "stages=[stylise]", share, *limits, *overrides)
    found = re.search(r"trained in (\d+) s, (\d+) steps", " ".join(ran.said.split()))
    assert found is not None, ran.said
    kept.parent.mkdir(exist_ok=True)
    shutil.rmtree(kept, ignore_errors=True)
    shutil.move(case.clip.path / "styled" / LAYER, kept)
    for strip in (case.clip.path / "runs" / "style").rglob("training.png"):
        shutil.copy(strip, kept.with_suffix(".training.png"))
    styled = FrameFolder(kept)
    cell = Cell(
        clip=case.name,
        variant=variant,
        budget=budget,
        stretch=(styled.stems[0], styled.stems[-1]),
        scores=scores(case, styled, options.score),
        steps=int(found[2]),
        seconds=float(found[1]),
        cpu_seconds=ran.cpu_seconds,
        memory=ran.memory,
    )
    record.write_text(json.dumps(asdict(cell)))
    return cell


def scores(case: Case, styled: FrameFolder, program: Path) -> dict[str, float]:
    """Likeness to the painter's frames and flicker, by the scoring program, and sharpness."""
    frames = case.clip.path / "frames"
    said = run([program, "--pred", styled.path, "--truth", case.truth.path, "--source", frames], 1).said
    found = re.search(r"^frames \d+  SSIM (\S+)  PSNR (\S+)$", said, re.MULTILINE)
    assert found is not None, said
    known = [stem for stem in styled.stems if stem in case.truth]
    measured = {"ssim": float(found[1]), "psnr": float(found[2]), "flicker": ratio(said)}
    measured["sharpness"] = strokes(styled, known) / strokes(case.truth, known)
    if len(known) == len(styled.stems) > 1:
        with tempfile.TemporaryDirectory() as folder:
            for stem in known:
                shutil.copy(case.truth.path / f"{stem}.png", folder)
            measured["painter"] = ratio(run([program, "--pred", folder, "--source", frames], 1).said)
    return measured


def ratio(said: str) -> float:
    """The flicker ratio that the scoring program printed."""
    found = re.search(r"ratio (\S+)", said)
    assert found is not None, said
    return float(found[1])


def strokes(folder: FrameFolder, stems: Sequence[str]) -> float:
    """Mean length of the colour gradient, which blur lowers."""
    pictures = (torch.from_numpy(folder.read(stem)).permute(2, 0, 1)[None].float() for stem in stems)
    return fmean(gradient(picture).mean().item() for picture in pictures)


def table(cells: Sequence[Cell]) -> Table:
    """All cells, clip by clip."""
    drawn = Table("clip", "frames", "variant", "budget", "SSIM", "PSNR", "flicker", "sharpness", "painter's flicker")
    for name in ("steps", "s", "CPU-s", "GB"):
        drawn.add_column(name, justify="right")
    for place, cell in enumerate(cells):
        if place and cell.clip != cells[place - 1].clip:
            drawn.add_section()
        known = cell.scores
        drawn.add_row(
            cell.clip, "-".join(cell.stretch), cell.variant, cell.budget,
            f"{known['ssim']:.4f}", f"{known['psnr']:.2f}", f"{known['flicker']:.3f}", f"{known['sharpness']:.3f}",
            f"{known['painter']:.3f}" if "painter" in known else "",
            str(cell.steps), f"{cell.seconds:.0f}", f"{cell.cpu_seconds:.0f}", f"{cell.memory:.2f}",
        )  # fmt: skip
    return drawn


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="clips, and KEY=VALUE for dreaming")
    parser.add_argument("--variants", nargs="+", default=DEFAULT, help=", ".join(VARIANTS))
    parser.add_argument("--define", nargs="+", action="append", default=[], metavar=("NAME", "KEY=VALUE"))
    budgets = parser.add_mutually_exclusive_group()
    budgets.add_argument("--seconds", type=int, nargs="+", default=[150], help="budgets of training")
    budgets.add_argument("--steps", type=int, nargs="+", help="budgets of training")
    parser.add_argument("--frames", type=int, default=24, help="about so many neighbours are stylised")
    parser.add_argument("--keyframes", type=int, default=2, help="painted frames of a sequence")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder that clips and styled frames are made and kept in")
    parser.add_argument("--data", help="folder of sequences, each with frames/ and truth/")
    parser.add_argument("--make", type=Path, default=SHARED / "make_clip.py")
    parser.add_argument("--score", type=Path, default=SHARED / "score" / "frames.py")
    options = parser.parse_intermixed_args()
    options.overrides = [name for name in options.names if "=" in name]
    clips = [name for name in options.names if "=" not in name] or ["dance-twirl", "blackswan"]
    known = VARIANTS | {name: overrides for name, *overrides in options.define}
    unknown = set(options.variants) - set(known)
    if unknown:
        parser.error(f"no variant {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    chosen = dict.fromkeys([*options.variants, *(name for name, *_ in options.define)])
    trained = [f"{count} steps" for count in options.steps] if options.steps else [f"{s} s" for s in options.seconds]
    cells = []
    with tempfile.TemporaryDirectory() as temporary:
        place = options.keep or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        for asked in clips:
            case = prepare(asked, options, place)
            for budget in trained:
                for variant in chosen:
                    cells.append(measure(case, variant, known[variant], options, budget))
                    print(json.dumps(asdict(cells[-1])), flush=True)
    Console(width=200).print(table(cells))


if __name__ == "__main__":
    main()
