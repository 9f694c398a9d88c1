insert into cutover.comment (run, author, words)
values (%(run)s, %(author)s, %(words)s)
