"""Segmentation of real sequences from a few hand masks, scored against the ground truth.

    python benchmarks/segmentation.py [SEQUENCE ...] [--masks 5] [--seeds 0] [--threads 2] [--data DIR] [--keep DIR]
                                      [--make make_clip.py] [KEY=VALUE ...]

Each sequence becomes a clip with hand masks. `dreaming` runs on it in child processes, without access to the ground
truth: first the masker (`masker=ensemble` by default), then its evaluation. Further KEY=VALUE are passed to `dreaming`.
Prints one table: J and F of each masker, of the best single masker and of the ensemble, its variant with the score on
held-out masks, seconds, and peak memory of the larger process. Results in --keep are reused.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from rich.console import Console
from rich.table import Table

from dreaming.clip.clip import Clip
from dreaming.io.frame_folder import FrameFolder
from dreaming.stages.scores.masks import scores
from dreaming.training.model_selection import ModelSelection
from dreaming.training.run_registry import read_best

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
SEQUENCES = ("blackswan", "car-shadow", "dog", "dance-twirl", "breakdance")


@dataclass
class Result:
    """The result of one sequence.

    Attributes:
        name: The sequence, with masks and seed if several are measured.
        scores: Mean (J, F) by masker, against the ground truth.
        chosen: The ensemble's variant, and its score on held-out masks.
        seconds: Wall time by step.
        memory: Peak resident size of the larger process, in GB.
    """

    name: str
    scores: dict[str, tuple[float, float]] = field(default_factory=dict)
    chosen: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    memory: float = 0.0


def run(arguments: Sequence[str], threads: int) -> tuple[float, float]:
    """Run `dreaming` in a child process; return its seconds and its peak resident size in GB."""
    start = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    command = [sys.executable, "-m", "dreaming", *arguments, f"threads={threads}", "logger=csv"]
    code, output, memory = finished(command, environment)
    if code:
        sys.exit(f"{' '.join(command)} ended with {code}:\n{output[-4000:]}")
    return time.perf_counter() - start, memory


def finished(command: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str, float]:
    """Run a command; return its exit code, its output, and its own peak resident size in GB.

    ``RUSAGE_CHILDREN`` would give the largest child so far. A child starts with this process's own size.
    """
    with subprocess.Popen(  # noqa: S603 -- this program itself
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as child:
        assert child.stdout is not None
        output = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)  # the process cannot be waited for again
    return child.returncode, output, usage.ru_maxrss / 1e6


def chosen_variant(clip: Clip) -> str:
    """The variant that the ensemble chose, and its score on held-out masks; empty without an ensemble."""
    runs = clip.runs("ensemble")
    best = read_best(runs / "best.json")
    if best is None:
        return ""
    selection = ModelSelection.read(runs / Path(best.checkpoint).parts[0])
    return f"{selection.chosen} {selection.score:.3f}"


def folders(clip: Clip, masker: str) -> Iterator[tuple[str, FrameFolder]]:
    """The folders with masks of all frames: those of the selected masker, and of the maskers that it builds on."""
    yield masker, clip.masks("subject", masker)
    for path in sorted((clip.path / "predictions" / "subject").glob("*")):
        whole = [FrameFolder(inner) for inner in path.iterdir()]
        whole = [folder for folder in whole if set(folder.stems) >= set(clip.stems)]
        if path.name != masker and whole:
            yield path.name, max(whole, key=lambda folder: folder.path.stat().st_mtime)


def against_truth(clip: Clip, folder: FrameFolder, truth: FrameFolder) -> tuple[float, float]:
    """Mean J and F of a folder of masks."""
    rows = [scores(folder.read_mask(stem, clip.size), truth.read_mask(stem, clip.size)) for stem in truth.stems]
    return fmean(row["IoU"] for row in rows), fmean(row["boundary F"] for row in rows)


def measure(name: str, options: argparse.Namespace, masks: int, seed: int, folder: Path) -> Result:
    """One sequence, from its frames to its scores."""
    path = folder / f"{name}-{masks}-{seed}"
    if not path.exists():
        data = [] if options.data is None else ["--data", options.data]
        subprocess.run(  # noqa: S603 -- this program itself
            [sys.executable, options.make, name, path, "--masks", str(masks), *data],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    several = len(options.masks) > 1 or len(options.seeds) > 1
    result = Result(f"{name}, {masks} masks, seed {seed}" if several else name)
    common = [f"clip={path}", f"masker={options.masker}", f"seed={seed}", *options.overrides]
    result.seconds["mask"], masking = run([*common, "stages=[mask]"], options.threads)
    result.seconds["evaluate"], evaluating = run(
        [*common, "stages=[evaluate]", "stage.evaluate.flow=null"], options.threads
    )
    clip, truth = Clip(path), FrameFolder(path.with_name(path.name + "-truth") / "masks")
    result.chosen = chosen_variant(clip)
    result.memory = max(masking, evaluating)
    result.scores = {masker: against_truth(clip, folder, truth) for masker, folder in folders(clip, options.masker)}
    return result


def table(results: Sequence[Result], masker: str) -> Table:
    """All results, and their means."""
    singles = list(dict.fromkeys(name for result in results for name in result.scores if name != masker))
    drawn = Table("sequence", *singles, "best single", masker, "variant (held-out J)", "seconds", "GB")

    def cell(score: tuple[float, float] | None) -> str:
        return "" if score is None else f"{score[0]:.3f} {score[1]:.3f}"

    bests = [max((result.scores[n] for n in singles if n in result.scores), default=None) for result in results]
    for result, best in zip(results, bests, strict=True):
        seconds = " + ".join(f"{value:.0f}" for value in result.seconds.values())
        found = [cell(result.scores.get(name)) for name in singles]
        drawn.add_row(
            result.name, *found, cell(best), cell(result.scores[masker]), result.chosen, seconds, f"{result.memory:.1f}"
        )
    drawn.add_section()

    def mean(every: Sequence[tuple[float, float] | None]) -> str:
        known = [score for score in every if score is not None]
        return cell((fmean(j for j, _ in known), fmean(f for _, f in known))) if known else ""

    means = [mean([result.scores.get(name) for result in results]) for name in singles]
    seconds = f"{fmean(sum(result.seconds.values()) for result in results):.0f}"
    drawn.add_row("mean J F", *means, mean(bests), mean([r.scores[masker] for r in results]), "", seconds, "")
    return drawn


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="sequences, and KEY=VALUE for dreaming")
    parser.add_argument("--masks", type=int, nargs="+", default=[5], help="hand masks")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--masker", default="ensemble")
    parser.add_argument("--data", help="folder of sequences, each with frames/ and truth/")
    parser.add_argument("--make", default=str(SHARED / "make_clip.py"))
    parser.add_argument("--keep", type=Path, help="folder to keep the clips in")
    options = parser.parse_intermixed_args()
    options.overrides = [name for name in options.names if "=" in name]
    chosen = [name for name in options.names if "=" not in name] or SEQUENCES
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        results = []
        for masks in options.masks:
            for seed in options.seeds:
                for name in chosen:
                    results.append(measure(name, options, masks, seed, folder))
                    print(json.dumps(vars(results[-1])), flush=True)
    Console(width=200).print(table(results, options.masker))


if __name__ == "__main__":
    main()
