"""The two programs; the only room that sees the run's config."""
