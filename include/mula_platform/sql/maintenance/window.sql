select * from platform.maintenance()
