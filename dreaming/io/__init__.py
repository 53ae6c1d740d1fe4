"""Files: images, videos and records on disk."""
