"""Brush strokes of stylised frames."""
