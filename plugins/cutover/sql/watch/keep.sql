insert into cutover.watch (run, name, moment, value, verdict, detail, counted)
values (%(run)s, %(name)s, %(moment)s, %(value)s, %(verdict)s, %(detail)s, %(counted)s)
