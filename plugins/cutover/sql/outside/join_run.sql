update cutover.set_aside set run = %(run)s where run = %(late)s
