"""Per-pixel features for the segmenters."""
