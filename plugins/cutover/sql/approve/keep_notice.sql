insert into cutover.notice (run, action, channel, recipient, error)
values (%(run)s, %(action)s, %(channel)s, %(recipient)s, %(error)s)
