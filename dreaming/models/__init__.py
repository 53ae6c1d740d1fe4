"""LightningModules, their inference, and the training task of styles."""
