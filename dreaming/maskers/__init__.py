"""Maskers: methods that predict the subject's mask in every frame."""
