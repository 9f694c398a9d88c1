"""Validate: the suites of a migration over its tables, checks across tables, and the pages that keep the outcome."""
