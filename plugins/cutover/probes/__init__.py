"""Queries before and after: what the application asks, run on today's tables and on those of the launch.

``file``        the form of a migration's ``probes/*.sql``
``workload``    the application's own queries, by ``pg_stat_statements``
``rehearsed``   today's tables and the rehearsed ones side by side, in a transaction that is taken back
``names``       a query's names made to mean the rehearsed tables
``asking``      one query, asked of one side
``comparison``  what has come of it
``plan_words``  two plans in words
``report``      all of them
"""

from cutover.probes.file import Assertion, Probe, load, read
from cutover.probes.report import Report, of_order, require_asserted

__all__ = ["Assertion", "Probe", "Report", "load", "of_order", "read", "require_asserted"]
