"""Commands that find nothing to do, and the removal of files that can be computed again."""
