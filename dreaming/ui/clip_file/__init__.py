"""The user's `clip.yaml`, edited from the page so that comments and everything else stay."""
