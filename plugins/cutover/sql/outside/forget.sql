delete from cutover.set_aside where run = %(run)s
