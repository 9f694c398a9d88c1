delete from cutover.moved_row where run = %(run)s
