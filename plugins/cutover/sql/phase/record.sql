insert into cutover.phase (run, step, holds, made_from, result, task_id, try_number)
values (%(run)s, %(step)s, %(holds)s, %(made_from)s, %(result)s, %(task_id)s, %(try_number)s)
returning record_id
