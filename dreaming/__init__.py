"""From a video, a few hand-painted masks and a stylised keyframe to a stylised video."""

__version__ = "0.2.0"
