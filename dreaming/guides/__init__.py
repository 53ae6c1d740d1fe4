"""Guides: input channels of the style network in addition to the frame."""
