delete from cutover.progress where run = %(run)s and task_id = %(task)s
