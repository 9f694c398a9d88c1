"""The demonstration's API keys, in one place.

They open nothing but the simulators, which listen on loopback: they are public on purpose.
"""

from __future__ import annotations

XENDIT_API_KEY = "xnd_development_demo_reads_everything"
# A valid key whose permissions lack `Transaction Read` and `Invoice Read`: the API answers 403, not 401.
XENDIT_API_KEY_WITHOUT_PERMISSION = "xnd_development_demo_reads_nothing"

SYSTEMEIO_API_KEY = "systemeio-demo-reads-everything"
SYSTEMEIO_API_KEY_WITHOUT_PERMISSION = "systemeio-demo-reads-nothing"
