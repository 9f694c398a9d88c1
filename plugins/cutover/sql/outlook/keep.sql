insert into cutover.outlook (run, codes)
values (%(run)s, %(codes)s)
