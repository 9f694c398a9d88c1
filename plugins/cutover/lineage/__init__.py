"""Where each column comes from, from an API's member to production: read from the migration's own statements.

``statement`` reads one text of SQL, ``graph`` puts a migration together. The same graph is in the events that go to a
lineage backend (``cutover.operators.lineage``, ``transport``) and on the run's page (``cutover.ui.lineage``).
"""
