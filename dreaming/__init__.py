"""From a video, a few hand-painted masks and a stylised keyframe to a stylised video."""
