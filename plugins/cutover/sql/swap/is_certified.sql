select 1 from cutover.certificate where run = %(run)s
