"""Time that pruning saves in a sweep: 20 UNet trials, two at a time, with and without it.

    python benchmarks/sweep.py CLIP [CLIP ...] [--trials 20] [--keep FOLDER] [--logger csv] [--override KEY=VALUE ...]

Prints for each clip the trial-seconds, the wall time, the best Jaccard index and the number of pruned trials. Each
sweep works on a copy of the clip without its runs, which --keep FOLDER keeps.
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--pruners", nargs="+", default=PRUNERS, help="the others are compared with the first")
    parser.add_argument("--keep", type=Path, help="folder to keep the copies in, with their studies and runs")
    parser.add_argument("--logger", default="csv", help="wandb (WANDB_MODE=offline) for dashboard.py")
    parser.add_argument("--override", nargs="+", default=[], help="further overrides of train.py")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    print("clip         pruner     trials pruned failed  trial-s  share   wall-s   best J")
    with tempfile.TemporaryDirectory() as temporary:
        for clip in options.clips:
            whole = None
            for pruner in options.pruners:
                copy = (options.keep or Path(temporary)) / clip.name / pruner
                shutil.copytree(clip, copy, ignore=shutil.ignore_patterns("runs", "sweeps", ".locks"))
                wall = sweep(copy, pruner, options.trials, options.jobs, options.logger, options.override)
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
    start = time.perf_counter()
    command = [
        sys.executable, str(ROOT / "train.py"), "-m", "model=unet", "sweep=unet", f"clip={clip}",
        f"sweep/pruner={pruner}", f"hydra.sweeper.n_trials={trials}", "hydra/launcher=joblib",
        f"hydra.launcher.n_jobs={jobs}", "threads=1", "trainer=cpu", f"logger={logger}", *overrides,
    ]  # fmt: skip
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 -- this program itself
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
