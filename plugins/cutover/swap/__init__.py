"""The swap: new tables take the place of old ones in one transaction, with everything that is bound to them.

``scope``        which tables, and what depends on them
``refusals``     what the swap would not get right, found before any work
``inventory``    every catalogue fact about them by name, before and after
``preparation``  the incoming tables made equal to production's in all but rows, before any lock
``capture``      production writes recorded from before the freeze on
``carry``        those writes applied to the incoming tables
``locks``        bounded attempts to lock, with those named who stand in the way
``move``         the transaction itself
``proof``        parity inside the transaction, the certificate after it
"""
