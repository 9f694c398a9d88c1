select * from platform.maintenance_steps()
