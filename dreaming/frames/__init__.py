"""Pixels, files and motion; nothing learned."""
