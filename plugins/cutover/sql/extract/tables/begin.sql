-- The copy's record; it becomes visible together with the rows, when the transaction commits.
insert into cutover.sync (source, mode, because, api, account, declaration, until)
values (%(source)s, %(mode)s, %(because)s, %(api)s, %(account)s, %(declaration)s, clock_timestamp())
returning sync_id
