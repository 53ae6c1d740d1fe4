"""What Hydra's Optuna sweeper lacks: pruning, continuing, and making use of what was found."""
