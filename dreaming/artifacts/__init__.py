"""Results on disk: folders of frames with a manifest of their config and inputs, their history, single files."""
