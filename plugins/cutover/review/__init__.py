"""Review: what the approver reads, made once as one object, and the fingerprint of what it is about.

``document``        the review of one snapshot, as it is stored
``subject``         what an approval of it is about: the swap's order and scope, the fingerprint
``hindrances``      what would stop the swap
``counts``          rows before and after, of each table
``samples``         a few rows of each table, masked
``difference``      every row that differs, masked alike
``reconciliation``  where every row of every source went
``sections``        figures and warnings that the migration's own queries give
``warnings``        the engine's own warnings
``rehearsal``       the swap rehearsed before the review is made
``probes``          queries run before and after, and on record for the review
``dumps``           the dumps of the sources, and what they do not go to prove
``room``            the room on the disk that it needs
``forecast``        how long clients will wait
``when``            when an approved swap happens
``verdict``         what an approver is told first
``form``            the review as the approval form shows it
"""

from cutover.review.document import build
from cutover.review.form import markdown, rejects_limit
from cutover.review.hindrances import in_the_way
from cutover.review.probes import probe
from cutover.review.rehearsal import rehearse
from cutover.review.subject import fingerprint_of, order, settings

__all__ = [
    "build",
    "fingerprint_of",
    "in_the_way",
    "markdown",
    "order",
    "probe",
    "rehearse",
    "rejects_limit",
    "settings",
]
