"""Frames in, foreground probabilities out."""
