"""Maskers with pretrained networks from files of the user."""
