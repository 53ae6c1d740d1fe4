"""Styles applied to frames as they arrive from a camera or a playing video."""
