"""A new migration's files: written from a few answers, or from tables that are there, and complete enough to run."""
