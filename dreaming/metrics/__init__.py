"""Comparisons of a result with the truth."""
