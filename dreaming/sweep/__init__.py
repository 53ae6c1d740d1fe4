"""Hyperparameter searches: Hydra's Optuna sweeper with pruning, resumption and use of the best trial."""
