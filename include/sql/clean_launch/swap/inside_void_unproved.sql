-- Whoever signed up with a customer's address and never proved it gets nothing of the customer's, now or later.
select cutover.void_unproved(%(run)s, %(unconfirmed)s, %(deletes)s) as accounts_made_void
