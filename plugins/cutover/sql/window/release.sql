-- The fence with all its triggers.
drop schema if exists cutover_fence cascade
