"""What pruning saves in a sweep: 20 UNet trials, two at a time, with and without it.

    python benchmarks/sweep.py CLIP [CLIP ...] [--trials 20] [--keep FOLDER] [--logger csv] [--override KEY=VALUE ...]

For each clip it prints the trial-seconds in all, the wall time, the best Jaccard index, and how many were pruned. The
clips are left alone: each sweep works on a copy of the folder without its runs, which --keep does not throw away.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import optuna
from optuna.trial import TrialState

ROOT = Path(__file__).resolve().parents[1]
PRUNERS = ("none", "halving")


def main() -> None:
    arguments = argparse.ArgumentParser(description="what pruning saves in a sweep")
    arguments.add_argument("clips", nargs="+", type=Path)
    arguments.add_argument("--trials", type=int, default=20)
    arguments.add_argument("--jobs", type=int, default=2)
    arguments.add_argument(
        "--pruners", nargs="+", default=PRUNERS, help="the first is what the others are compared with"
    )
    arguments.add_argument("--keep", type=Path, help="folder for the copies, with their studies and runs")
    arguments.add_argument("--logger", default="csv", help="wandb (WANDB_MODE=offline) for dashboard.py")
    arguments.add_argument("--override", nargs="+", default=[], help="further overrides of train.py")
    given = arguments.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    print("clip         pruner     trials pruned failed  trial-s  share   wall-s   best J")
    with tempfile.TemporaryDirectory() as temporary:
        for clip in given.clips:
            whole = None
            for pruner in given.pruners:
                copy = (given.keep or Path(temporary)) / clip.name / pruner
                shutil.copytree(clip, copy, ignore=shutil.ignore_patterns("runs", "sweeps", ".locks"))
                wall = sweep(copy, pruner, given.trials, given.jobs, given.logger, given.override)
                study = optuna.load_study(study_name="unet", storage=f"sqlite:///{copy}/sweeps/unet/study.db")
                seconds = sum(trial.user_attrs.get("seconds", 0.0) for trial in study.trials)
                whole = whole or seconds
                pruned, failed = (
                    sum(trial.state is state for trial in study.trials)
                    for state in (TrialState.PRUNED, TrialState.FAIL)
                )
                print(
                    f"{clip.name:12s} {pruner:10s} {len(study.trials):6d} {pruned:6d} {failed:6d} {seconds:8.0f} "
                    f"{seconds / whole:6.2f} {wall:8.0f} {study.best_value:8.4f}",
                    flush=True,
                )


def sweep(clip: Path, pruner: str, trials: int, jobs: int, logger: str, overrides: list[str]) -> float:
    """Sweep on a clip; return the wall time in seconds."""
    begun = time.perf_counter()
    command = [
        sys.executable, str(ROOT / "train.py"), "-m", "model=unet", "sweep=unet", f"clip={clip}",
        f"sweep/pruner={pruner}", f"hydra.sweeper.n_trials={trials}", "hydra/launcher=joblib",
        f"hydra.launcher.n_jobs={jobs}", "threads=1", "trainer=cpu", f"logger={logger}", *overrides,
    ]  # fmt: skip
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603, the command is ours
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
