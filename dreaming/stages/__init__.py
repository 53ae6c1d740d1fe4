"""Stages: the steps from a video to a stylised video, each from folder to folder."""
