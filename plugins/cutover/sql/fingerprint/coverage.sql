select coverage from cutover.run where run = %(run)s
