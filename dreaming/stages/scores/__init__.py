"""Scores of results, which the stages `evaluate`, `suggest` and `report` show."""
