insert into cutover.sync_window (sync_id, window_no, name, params, position)
values (%(sync_id)s, %(window_no)s, %(name)s, %(params)s, %(position)s)
