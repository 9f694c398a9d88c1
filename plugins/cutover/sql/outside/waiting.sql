select count(*) from cutover.set_aside where run = %(run)s and put_back_by is null
