"""Optical flow, and what is propagated along it."""
