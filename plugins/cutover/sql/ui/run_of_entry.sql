select l.run from cutover.ledger as l where l.entry = %(entry)s and l.migration = %(migration)s
