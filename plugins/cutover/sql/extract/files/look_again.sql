-- The files of earlier names that were read, in their newest versions: one of them may have what a later one has lost.
update cutover.sync_file as f set look_again = true
from (
    select max(v.file_id) as file_id
    from cutover.sync_file as v
    where v.source = %(source)s and v.name collate "C" < %(name)s collate "C"
    group by v.name
) as newest
where f.file_id = newest.file_id
