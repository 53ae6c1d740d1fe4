"""The W&B panels of a sweep, drawn from its offline runs alone.

    python benchmarks/dashboard.py FOLDER [--group NAME] [--out dashboard.png]

FOLDER is searched for `offline-run-*/*.wandb`, which `python train.py -m ...` writes without a W&B login. --group
selects the runs of one sweep. The trials are restored from config, history and summary of the runs, and plotted as the
sweep plots its study.
"""

import argparse
import json
import struct
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial
from wandb.proto import wandb_internal_pb2

from dreaming.sweep.plots import draw_plots

BLOCK, HEADER, FULL, LAST = 32768, 7, 1, 4
NOT_SEARCHED = ("sweep", "component", "trial", "_wandb")


def records(path: Path) -> Iterator[wandb_internal_pb2.Record]:
    """The records of an offline run: protocol buffers in LevelDB's log format, after a header of seven bytes."""
    data, offset, message = path.read_bytes(), HEADER, b""
    while offset + HEADER <= len(data):
        if BLOCK - offset % BLOCK < HEADER:
            offset += BLOCK - offset % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", data, offset)
        message += data[offset + HEADER : offset + HEADER + length]
        offset += HEADER + length
        if kind in (FULL, LAST):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(message)
            yield record
            message = b""


def values(items: Iterable[Any]) -> dict[str, Any]:
    """The items of a record by name."""
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


class OfflineRun:
    """One run, read from its file."""

    def __init__(self, path: Path) -> None:
        self.group, self.kind = "", ""
        self.config: dict[str, Any] = {}
        self.summary: dict[str, Any] = {}
        self.history: list[dict[str, Any]] = []
        for record in records(path):
            if record.HasField("run"):
                self.group, self.kind = record.run.run_group, record.run.job_type
                self.config |= values(record.run.config.update)
            elif record.HasField("config"):
                self.config |= values(record.config.update)
            elif record.HasField("history"):
                self.history.append(values(record.history.item))
            elif record.HasField("summary"):
                self.summary |= values(record.summary.update)

    @property
    def parameters(self) -> dict[str, Any]:
        """The searched values."""
        return {name: value for name, value in self.config.items() if name not in NOT_SEARCHED}

    @property
    def curve(self) -> dict[int, float]:
        """The monitored value by step, in percent of the training."""
        return {
            int(row["trainer/global_step"]): float(value)
            for row in self.history
            for name, value in row.items()
            if name.startswith("val/")
        }

    @property
    def score(self) -> float | None:
        """The score; None for an unfinished run."""
        return next((float(row["score"]) for row in self.history if "score" in row), None)


def space(runs: list[OfflineRun]) -> dict[str, BaseDistribution]:
    """A distribution for each searched value, which covers the values of all runs."""
    found: dict[str, BaseDistribution] = {}
    for name in sorted({name for run in runs for name in run.parameters}):
        seen = [run.parameters[name] for run in runs if name in run.parameters]
        if all(isinstance(value, float) for value in seen):
            low, high = min(seen), max(seen)
            found[name] = FloatDistribution(low, high, log=low > 0 and high > 20 * low)
        else:
            found[name] = CategoricalDistribution(sorted({_hashable(value) for value in seen}, key=str))
    return found


def _hashable(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else json.dumps(value)


def trial(run: OfflineRun, distributions: dict[str, BaseDistribution]) -> FrozenTrial:
    """The trial of a run."""
    parameters = {name: _hashable(value) for name, value in run.parameters.items()}
    return create_trial(
        state=TrialState.PRUNED if run.summary.get("pruned") else TrialState.COMPLETE,
        value=run.score,
        params=parameters,
        distributions={name: distributions[name] for name in parameters},
        intermediate_values=run.curve,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with offline runs")
    parser.add_argument("--group", help="name of the sweep")
    parser.add_argument("--out", type=Path, default=Path("dashboard.png"), help="image to write")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    runs = [OfflineRun(path) for path in sorted(options.folder.rglob("offline-run-*/*.wandb"))]
    runs = [run for run in runs if run.kind == "trial" and options.group in (None, run.group) and run.score is not None]
    if not runs:
        parser.error(f"no finished trial of a sweep under {options.folder}")
    study = optuna.create_study(direction="maximize")
    distributions = space(runs)
    for run in sorted(runs, key=lambda run: run.config["trial"]):
        study.add_trial(trial(run, distributions))
    with tempfile.TemporaryDirectory() as folder:
        draw_plots(study, Path(folder))
        options.out.write_bytes((Path(folder) / "dashboard.png").read_bytes())
    pruned = sum(bool(run.summary.get("pruned")) for run in runs)
    print(f"{options.out}: {len(runs)} trials, {pruned} pruned, best score {study.best_value:.4f}")


if __name__ == "__main__":
    main()
