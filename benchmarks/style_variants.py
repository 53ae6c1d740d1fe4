"""Variants of style transfer on real sequences, scored against painted frames.

    python benchmarks/style_variants.py [CLIP ...] [--variants NAME ...] [--seconds 150 | --steps 250] [--frames 24]
                                        [--keyframes 2] [--threads 1] [--define NAME KEY=VALUE ...] [--keep DIR]
                                        [--data DIR] [--make make_clip.py] [--score frames.py] [KEY=VALUE ...]

A CLIP is the name of a sequence, of which --keyframes painted frames become keyframes; or FOLDER:KEY+KEY, a folder with
frames/, stylised/ (with the named keyframes) and check/ (painted frames as ground truth). In long clips one interval of
about --frames frames is stylised, the same for all variants. Flow, temporally smoothed frames and guides are made once
per clip, before the measurement.

The learning rate is scheduled to the time limit, so each cell of the table is a separate training. On a shared machine
compare variants by --steps (a multiple of model.style.validate_every); --seconds is fair only if the steps are similar.
--define adds a variant. Further KEY=VALUE are passed to `dreaming` for all variants. Results in --keep are reused.

Prints one table: SSIM and PSNR to the painted frames; flicker along the flow, as a ratio to that of the frames;
sharpness, as a ratio of mean gradients to the painted frames, because SSIM alone rewards blur; flicker of the painted
frames; steps and seconds of the training; CPU-seconds and peak memory of the whole command.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

import torch
from rich.console import Console
from rich.table import Table

from dreaming.clip.clip import Clip
from dreaming.io.frame_folder import FrameFolder
from dreaming.losses.style import gradient
from dreaming.training.run_registry import read_best

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
LAYER = "painted"
VARIANTS = {
    "plain": ["guides=[]"],
    "guided": ["guides=[propagated]"],
    "canvas": ["guides=[propagated,canvas]"],
    "gauss": ["guides=[gauss]"],
    "gauss+guided": ["guides=[gauss,propagated]"],
    "filtered": ["guides=[]", "model.style.filtered=true"],
    "filtered+guided": ["guides=[propagated]", "model.style.filtered=true"],
    "filtered+gauss": ["guides=[gauss]", "model.style.filtered=true"],
    "fspbt": ["guides=[propagated]", "generator=fspbt"],
}
DEFAULT = [name for name in VARIANTS if name not in ("filtered", "fspbt")]


@dataclass(frozen=True)
class Case:
    """A clip without masks, painted as a whole, and its painted frames as ground truth."""

    name: str
    clip: Clip
    truth: FrameFolder


@dataclass
class Cell:
    """The result of one training.

    Attributes:
        clip: Name of the clip.
        variant: Name of the variant.
        limit: Seconds or steps of the training.
        interval: First and last stylised frame.
        scores: ssim, psnr, flicker, sharpness, and the flicker of the painted frames if all of them are known.
        steps: Steps of the training.
        seconds: Duration of the training.
        cpu_seconds: CPU time of the whole command.
        memory: The command's peak resident size, in GB.
    """

    clip: str
    variant: str
    limit: str
    interval: tuple[str, str]
    scores: dict[str, float]
    steps: int
    seconds: float
    cpu_seconds: float
    memory: float


@dataclass(frozen=True)
class Ran:
    """Output and cost of a child process."""

    output: str
    cpu_seconds: float
    memory: float


def run(command: Sequence[str | Path], threads: int) -> Ran:
    """Run a Python program in a child process."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT), "COLUMNS": "250"}
    with tempfile.TemporaryFile("w+") as stream:
        process = subprocess.Popen(  # noqa: S603 -- this program itself
            [sys.executable, *command], env=environment, stdout=stream, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        stream.seek(0)
        output = stream.read()
    if process.returncode:
        sys.exit(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{output[-4000:]}")
    return Ran(output, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e6)


def dream(clip: Clip, threads: int, *arguments: str) -> Ran:
    """Run `dreaming` on a clip."""
    return run(["-m", "dreaming", f"clip={clip.path}", f"threads={threads}", "logger=csv", *arguments], threads)


def prepare(asked: str, options: argparse.Namespace, folder: Path) -> Case:
    """Make the clip and its flow; the clip is a single layer, which needs no masks."""
    source, _, keys = asked.partition(":")
    name = f"{Path(source).name} {keys or options.keyframes}"
    path = folder / name.replace(" ", "-")
    truth = path.with_name(path.name + "-truth") / "styled"
    if not path.exists():
        if keys:
            shutil.copytree(Path(source) / "frames", path / "frames")
            shutil.copytree(Path(source) / "check", truth)
            painted = path / "keyframes" / LAYER
            painted.mkdir(parents=True)
            for key in keys.split("+"):
                for picture in (Path(source) / "stylised").glob(f"{key}.*"):
                    shutil.copy(picture, painted)
        else:
            data = [] if options.data is None else ["--data", options.data]
            run([options.make, source, path, "--keyframes", str(options.keyframes), *data], 1)
            shutil.rmtree(path / "hand_masks")
        (path / "clip.yaml").write_text(f"layers: [{{name: {LAYER}}}]\n")
    clip = Clip(path)
    dream(clip, options.threads, "stages=[flow]")
    return Case(name, clip, FrameFolder(truth))


def measure(case: Case, variant: str, overrides: Sequence[str], options: argparse.Namespace, limit: str) -> Cell:
    """Train, and stylise one interval of the clip; its frames are kept beside the clip."""
    kept = kept_frames(case, variant, limit)
    record = kept.with_suffix(".json")
    if record.exists():
        return Cell(**json.loads(record.read_text()))
    stems = case.clip.stems
    shares = max(1, round(len(stems) / options.frames))
    # The middle one lies next to a keyframe and between keyframes.
    share = f"shard={shares // 2 + 1}/{shares}"
    overrides = [*options.overrides, *overrides]
    # These stages run for the whole clip, before the measurement.
    wanted = ["filter", "guide"] if "model.style.filtered=true" in overrides else ["guide"]
    dream(case.clip, options.threads, f"stages=[{','.join(wanted)}]", *overrides)
    shutil.rmtree(case.clip.path / "styled", ignore_errors=True)
    shutil.rmtree(case.clip.path / "runs", ignore_errors=True)
    amount, unit = limit.split()
    key = "max_time" if unit == "s" else "max_steps"
    # With a limit in steps the time is unlimited.
    limits = [f"model.style.limits.{key}={amount}", *([] if unit == "s" else ["model.style.limits.max_time=null"])]
    ran = dream(case.clip, options.threads, "stages=[stylise]", share, *limits, *overrides)
    best = read_best(case.clip.runs("style") / f"best-{LAYER}.json")
    assert best is not None, ran.output
    kept.parent.mkdir(exist_ok=True)
    shutil.rmtree(kept, ignore_errors=True)
    shutil.move(case.clip.path / "styled" / LAYER, kept)
    for strip in (case.clip.path / "runs" / "style").rglob("training.png"):
        shutil.copy(strip, kept.with_suffix(".training.png"))
    styled = FrameFolder(kept)
    cell = Cell(
        clip=case.name,
        variant=variant,
        limit=limit,
        interval=(styled.stems[0], styled.stems[-1]),
        scores=scores(case, styled, options.score),
        steps=best.steps,
        seconds=best.seconds,
        cpu_seconds=ran.cpu_seconds,
        memory=ran.memory,
    )
    record.write_text(json.dumps(asdict(cell)))
    return cell


def scores(case: Case, styled: FrameFolder, program: Path) -> dict[str, float]:
    """Similarity to the painted frames and flicker, by the scoring program, and sharpness."""
    frames = case.clip.path / "frames"
    output = run([program, "--pred", styled.path, "--truth", case.truth.path, "--source", frames], 1).output
    found = re.search(r"^frames \d+  SSIM (\S+)  PSNR (\S+)$", output, re.MULTILINE)
    assert found is not None, output
    known = [stem for stem in styled.stems if stem in case.truth]
    measured = {"ssim": float(found[1]), "psnr": float(found[2]), "flicker": ratio(output)}
    measured["sharpness"] = strokes(styled, known) / strokes(case.truth, known)
    if len(known) == len(styled.stems) > 1:
        with tempfile.TemporaryDirectory() as folder:
            for stem in known:
                shutil.copy(case.truth.path / f"{stem}.png", folder)
            measured["painter"] = ratio(run([program, "--pred", folder, "--source", frames], 1).output)
    return measured


def ratio(output: str) -> float:
    """The flicker ratio printed by the scoring program."""
    found = re.search(r"ratio (\S+)", output)
    assert found is not None, output
    return float(found[1])


def strokes(folder: FrameFolder, stems: Sequence[str]) -> float:
    """Mean length of the colour gradient, which blur reduces."""
    pictures = (torch.from_numpy(folder.read(stem)).permute(2, 0, 1)[None].float() for stem in stems)
    return fmean(gradient(picture).mean().item() for picture in pictures)


def table(cells: Sequence[Cell]) -> Table:
    """All cells, clip by clip."""
    drawn = Table("clip", "frames", "variant", "limit", "SSIM", "PSNR", "flicker", "sharpness", "painted flicker")
    for name in ("steps", "s", "CPU-s", "GB"):
        drawn.add_column(name, justify="right")
    for index, cell in enumerate(cells):
        if index and cell.clip != cells[index - 1].clip:
            drawn.add_section()
        known = cell.scores
        drawn.add_row(
            cell.clip, "-".join(cell.interval), cell.variant, cell.limit,
            f"{known['ssim']:.4f}", f"{known['psnr']:.2f}", f"{known['flicker']:.3f}", f"{known['sharpness']:.3f}",
            f"{known['painter']:.3f}" if "painter" in known else "",
            str(cell.steps), f"{cell.seconds:.0f}", f"{cell.cpu_seconds:.0f}", f"{cell.memory:.2f}",
        )  # fmt: skip
    return drawn


def kept_frames(case: Case, variant: str, limit: str) -> Path:
    """Folder of a variant's stylised frames, beside the clip."""
    return case.clip.path.with_name(f"{case.clip.path.name}-styled") / f"{variant}-{limit.replace(' ', '')}"


@contextmanager
def kept_folder(options: argparse.Namespace) -> Iterator[Path]:
    """The folder for clips and frames: that of --keep, or a temporary one."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        yield folder


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """Options of clips and trainings."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="clips, and KEY=VALUE for dreaming")
    limits = parser.add_mutually_exclusive_group()
    limits.add_argument("--seconds", type=int, nargs="+", default=[150], help="limits of the training")
    limits.add_argument("--steps", type=int, nargs="+", help="limits of the training")
    parser.add_argument("--frames", type=int, default=24, help="approximate number of stylised frames")
    parser.add_argument("--keyframes", type=int, default=2, help="keyframes of a sequence")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder to keep clips and styled frames in")
    parser.add_argument("--data", help="folder of sequences, each with frames/ and truth/")
    parser.add_argument("--make", type=Path, default=SHARED / "make_clip.py")
    parser.add_argument("--score", type=Path, default=SHARED / "score" / "frames.py")
    return parser


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Parse the command line; add the clips, the overrides and the limits of the training."""
    options = parser.parse_intermixed_args()
    options.overrides = [name for name in options.names if "=" in name]
    options.clips = [name for name in options.names if "=" not in name] or ["dance-twirl", "blackswan"]
    options.limits = [f"{n} steps" for n in options.steps] if options.steps else [f"{n} s" for n in options.seconds]
    return options


def main() -> None:
    """Measure and print."""
    parser = make_parser(__doc__)
    parser.add_argument("--variants", nargs="+", default=DEFAULT, help=", ".join(VARIANTS))
    parser.add_argument("--define", nargs="+", action="append", default=[], metavar=("NAME", "KEY=VALUE"))
    options = parse(parser)
    known = VARIANTS | {name: overrides for name, *overrides in options.define}
    unknown = set(options.variants) - set(known)
    if unknown:
        parser.error(f"no variant {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    chosen = dict.fromkeys([*options.variants, *(name for name, *_ in options.define)])
    cells = []
    with kept_folder(options) as folder:
        for asked in options.clips:
            case = prepare(asked, options, folder)
            for limit in options.limits:
                for variant in chosen:
                    cells.append(measure(case, variant, known[variant], options, limit))
                    print(json.dumps(asdict(cells[-1])), flush=True)
    Console(width=200).print(table(cells))


if __name__ == "__main__":
    main()
