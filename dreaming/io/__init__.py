"""Files: images and records on disk."""
