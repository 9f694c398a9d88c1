-- Fewer rows are stored of a source.
update cutover.sync_state
set stored = stored - %(rows)s
where source = %(source)s
