"""Dumps of the sources, made before anything could change, and the proof that each holds what its source held."""
