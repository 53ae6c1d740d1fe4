"""Masks from annotation programs."""
