"""What a pruner costs and saves, the sampler apart: the same trials through each pruner, in many orders.

    python benchmarks/pruners.py STUDY.db [STUDY.db ...] [--orders 200] [--pruners halving hyperband median]

Each STUDY.db is of a sweep without pruning (`sweep/pruner=none`), such as `benchmarks/sweep.py --keep` leaves. Its
trials are replayed as they were reported, one after the other. Prints for each pruner, over the orders: the share of
the training that is left, the loss of the best value (mean, largest, how often above .01), and how many are pruned.
"""

import argparse
from pathlib import Path
from statistics import fmean

import numpy as np
import optuna
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial, TrialState

ROOT = Path(__file__).resolve().parents[1]
TOLERANCE = 0.01


def replay(trials: list[FrozenTrial], pruner: BasePruner) -> tuple[float, float, int]:
    """Share of the training that is left, loss of the best value, and number of pruned trials."""
    study = optuna.create_study(direction="maximize", pruner=pruner)
    spent, best, pruned = 0, 0.0, 0
    for trial in trials:
        assert trial.value is not None
        again = study.ask()
        for percent, value in sorted(trial.intermediate_values.items()):
            again.report(value, percent)
            if percent < 100 and again.should_prune():
                study.tell(again, state=TrialState.PRUNED)
                spent, pruned = spent + percent, pruned + 1
                break
        else:
            study.tell(again, trial.value)
            spent, best = spent + 100, max(best, trial.value)
    whole = max(trial.value for trial in trials if trial.value is not None)
    return spent / 100 / len(trials), whole - best, pruned


def configured(name: str) -> BasePruner:
    """A pruner of conf/sweep/pruner, as it is set there; with key=value after a comma, as set here."""
    name, *changes = name.split(",")
    with initialize_config_dir(str(ROOT / "conf" / "sweep" / "pruner")):
        pruner: BasePruner = instantiate(compose(name, overrides=changes), _execution_whitelist_=("optuna.pruners.*",))
    return pruner


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("studies", nargs="+", type=Path)
    arguments.add_argument("--orders", type=int, default=200)
    arguments.add_argument("--pruners", nargs="+", default=["halving", "hyperband", "median"], help="or NAME,KEY=VALUE")
    given = arguments.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    print("study                          pruner                               left  mean loss  largest  >.01  pruned")
    for path in given.studies:
        storage = f"sqlite:///{path}"
        (summary,) = optuna.get_all_study_summaries(storage)
        study = optuna.load_study(study_name=summary.study_name, storage=storage)
        trials = study.get_trials(states=(TrialState.COMPLETE,))
        for name in given.pruners:
            pruner = configured(name)
            orders = (np.random.default_rng(order).permutation(len(trials)) for order in range(given.orders))
            found = [replay([trials[place] for place in order], pruner) for order in orders]
            left, loss, pruned = zip(*found, strict=True)
            often = fmean(value > TOLERANCE for value in loss)
            print(
                f"{'/'.join(path.parts[-5:-3]):30s} {name:36s} {fmean(left):5.2f} {fmean(loss):10.4f} "
                f"{max(loss):8.4f} {often:5.2f} {fmean(pruned):7.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
