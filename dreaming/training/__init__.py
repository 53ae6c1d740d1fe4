"""Training with Lightning: fits, callbacks, checkpoints, loggers and records of runs."""
