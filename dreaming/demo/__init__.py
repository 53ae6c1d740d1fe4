"""The built-in clip, drawn by code."""
