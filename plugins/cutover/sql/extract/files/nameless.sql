-- Rejected rows of a file of which nobody can say what their keys are.
select count(*) as rows
from cutover.rejects
where
    file_id = %(file_id)s
    and source_id is null
