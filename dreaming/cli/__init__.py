"""The programs: command line, checks of the config before a run, and errors."""
