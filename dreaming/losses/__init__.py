"""Tensor in, training loss out: named, unweighted terms."""
