select exists(select from cutover.set_aside where put_back_by is null and run <> %(run)s)
