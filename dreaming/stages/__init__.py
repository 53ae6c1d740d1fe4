"""Folder in, folder out: the steps from a video to a stylised video."""
