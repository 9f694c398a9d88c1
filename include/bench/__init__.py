"""Measurements. ``python -m bench.extract`` and its kind; each prints a table and can write JSON."""
