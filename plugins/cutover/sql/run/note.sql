update cutover.run set {assignments} where run = %(this_run)s
