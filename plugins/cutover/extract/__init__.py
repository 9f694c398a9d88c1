"""Extraction: from paged, rate-limited, unreliable APIs into the raw tables, without losing a row.

``cutover.extract.sync.sync`` is the door; it needs a source's declaration, an address with a key, and a way to open
connections. It runs without Airflow. docs/extract.md says what it guarantees. Nothing is imported here: DAG files
import the declarations, and must not pay for an HTTP client.
"""
