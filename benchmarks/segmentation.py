"""Segmentation of real sequences from a few hand masks, by the real command, scored against the truth.

    python benchmarks/segmentation.py [SEQUENCE ...] [--masks 5] [--seeds 0] [--threads 2] [--data DIR] [--keep DIR]
                                      [--make make_clip.py] [KEY=VALUE ...]

Each sequence is made into a clip with its hand masks, and `dreaming` runs on it in child processes: first the masker
(`masker=ensemble` unless said otherwise) with its evaluation, then the truth is looked at. Further KEY=VALUE are handed
to `dreaming`. Prints one table: J and F of each masker, of the best one alone and of the ensemble, what was chosen, its
score out of fold, seconds, and peak memory of the larger process. What is still there in --keep is not made again.
"""

import argparse
import json
import os
import re
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
from dreaming.stages.mask_scores import scores

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
SEQUENCES = ("blackswan", "car-shadow", "dog", "dance-twirl", "breakdance")


@dataclass
class Result:
    """What came of one sequence.

    Attributes:
        name: The sequence, with masks and seed where several are tried.
        scores: Mean (J, F) by masker, against the truth.
        chosen: Form that the ensemble chose, and its score out of fold.
        seconds: Wall time by step.
        memory: Peak resident size of the larger of its processes, in GB.
    """

    name: str
    scores: dict[str, tuple[float, float]] = field(default_factory=dict)
    chosen: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    memory: float = 0.0


def run(arguments: Sequence[str], threads: int) -> tuple[float, str, float]:
    """Run `dreaming` in a child process; its seconds, what it said, and its peak resident size in GB."""
    start = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    command = [sys.executable, "-m", "dreaming", *arguments, f"threads={threads}", "logger=csv"]
    code, said, memory = finished(command, environment)
    if code:
        sys.exit(f"{' '.join(command)} ended with {code}:\n{said[-4000:]}")
    return time.perf_counter() - start, said, memory


def finished(command: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str, float]:
    """Run a command to its end; its exit code, what it said, and its own peak resident size in GB.

    What the system keeps of all children is the largest of any so far. No figure is below this process's own size, with
    which a child begins.
    """
    with subprocess.Popen(  # noqa: S603
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as child:
        assert child.stdout is not None
        said = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)  # it cannot be waited for again
    return child.returncode, said, usage.ru_maxrss / 1e6


def folders(clip: Clip, masker: str) -> Iterator[tuple[str, FrameFolder]]:
    """The folders that hold masks of all frames: the selected masker's, and those of the maskers it is built on."""
    yield masker, clip.masks("subject", masker)
    for path in sorted((clip.path / "predictions" / "subject").glob("*")):
        whole = [FrameFolder(place) for place in path.iterdir()]
        whole = [folder for folder in whole if set(folder.stems) >= set(clip.stems)]
        if path.name != masker and whole:
            yield path.name, max(whole, key=lambda folder: folder.path.stat().st_mtime)


def against_truth(clip: Clip, folder: FrameFolder, truth: FrameFolder) -> tuple[float, float]:
    """Mean J and F of a folder of masks."""
    rows = [scores(folder.read_mask(stem, clip.size), truth.read_mask(stem, clip.size)) for stem in truth.stems]
    return fmean(row["J"] for row in rows), fmean(row["F"] for row in rows)


def measure(name: str, options: argparse.Namespace, masks: int, seed: int, place: Path) -> Result:
    """One sequence, from its frames to its scores."""
    path = place / f"{name}-{masks}-{seed}"
    if not path.exists():
        data = [] if options.data is None else ["--data", options.data]
        subprocess.run(  # noqa: S603
            [sys.executable, options.make, name, path, "--masks", str(masks), *data],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    several = len(options.masks) > 1 or len(options.seeds) > 1
    result = Result(f"{name}, {masks} masks, seed {seed}" if several else name)
    common = [f"clip={path}", f"masker={options.masker}", f"seed={seed}", *options.overrides]
    result.seconds["mask"], said, masking = run([*common, "stages=[mask]"], options.threads)
    result.seconds["evaluate"], _, evaluating = run(
        [*common, "stages=[evaluate]", "stage.evaluate.flow=null"], options.threads
    )
    flat = " ".join(said.split())
    choice = re.search(r"ensemble: (\S+), val/jaccard ([0-9.]+) ", flat)
    result.chosen = f"{choice[1]} {choice[2]}" if choice else ""
    result.memory = max(masking, evaluating)
    clip, truth = Clip(path), FrameFolder(path.with_name(path.name + "-truth") / "masks")
    result.scores = {masker: against_truth(clip, folder, truth) for masker, folder in folders(clip, options.masker)}
    return result


def table(results: Sequence[Result], masker: str) -> Table:
    """All results, and their means."""
    singles = list(dict.fromkeys(name for result in results for name in result.scores if name != masker))
    drawn = Table("sequence", *singles, "best single", masker, "chosen (J out of fold)", "seconds", "GB")

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
    parser.add_argument("--keep", type=Path, help="folder that the clips are made and kept in")
    options = parser.parse_intermixed_args()
    options.overrides = [name for name in options.names if "=" in name]
    chosen = [name for name in options.names if "=" not in name] or SEQUENCES
    with tempfile.TemporaryDirectory() as temporary:
        place = options.keep or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        results = []
        for masks in options.masks:
            for seed in options.seeds:
                for name in chosen:
                    results.append(measure(name, options, masks, seed, place))
                    print(json.dumps(vars(results[-1])), flush=True)
    Console(width=200).print(table(results, options.masker))


if __name__ == "__main__":
    main()
