"""The two programs, and the only package that reads the config of a run."""
