"""LightningDataModules over frame and mask folders."""
