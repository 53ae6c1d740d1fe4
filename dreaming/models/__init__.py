"""LightningModules, and the one function that fits them."""
