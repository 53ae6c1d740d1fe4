"""Scores of masks and images, as functions of one frame and as torchmetrics ``Metric`` classes."""
