"""Cost and benefit of pruners, independent of the sampler: the same trials replayed in many orders.

    python benchmarks/pruners.py STUDY.db [STUDY.db ...] [--orders 200] [--pruners halving hyperband median]

Each STUDY.db belongs to a sweep without pruning (`sweep/pruner=none`), such as `benchmarks/sweep.py --keep` keeps. Its
trials are replayed one after the other. Prints for each pruner, over all orders: the remaining share of the training,
the loss of the best value (mean, largest, how often above .01), and the number of pruned trials.
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
    """Remaining share of the training, loss of the best value, and number of pruned trials."""
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
    """A pruner of conf/sweep/pruner by name; ``NAME,KEY=VALUE`` overrides a setting."""
    name, *changes = name.split(",")
    with initialize_config_dir(str(ROOT / "conf" / "sweep" / "pruner")):
        pruner: BasePruner = instantiate(compose(name, overrides=changes), _execution_whitelist_=("optuna.pruners.*",))
    return pruner


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="+", type=Path)
    parser.add_argument("--orders", type=int, default=200)
    parser.add_argument("--pruners", nargs="+", default=["halving", "hyperband", "median"], help="or NAME,KEY=VALUE")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    print("study                          pruner                               rest  mean loss  largest  >.01  pruned")
    for path in options.studies:
        storage = f"sqlite:///{path}"
        (summary,) = optuna.get_all_study_summaries(storage)
        study = optuna.load_study(study_name=summary.study_name, storage=storage)
        trials = study.get_trials(states=(TrialState.COMPLETE,))
        for name in options.pruners:
            pruner = configured(name)
            orders = (np.random.default_rng(order).permutation(len(trials)) for order in range(options.orders))
            found = [replay([trials[index] for index in order], pruner) for order in orders]
            left, loss, pruned = zip(*found, strict=True)
            often = fmean(value > TOLERANCE for value in loss)
            print(
                f"{'/'.join(path.parts[-5:-3]):30s} {name:36s} {fmean(left):5.2f} {fmean(loss):10.4f} "
                f"{max(loss):8.4f} {often:5.2f} {fmean(pruned):7.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
