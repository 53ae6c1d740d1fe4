"""The clip folder: its layout, its hand masks and keyframes, and clip.yaml."""
