insert into cutover.sync (source, mode, because, api, account, declaration, until)
values (%(source)s, %(mode)s, %(because)s, %(api)s, %(account)s, %(declaration)s, %(until)s)
returning sync_id
