"""Input channels of the style network beside the frame."""
