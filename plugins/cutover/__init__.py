"""Cutover: launch clean data into a live production database, in one transaction that can be undone."""
