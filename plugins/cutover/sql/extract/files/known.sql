-- The newest version of each file that was read.
select distinct on (f.name)
    f.file_id,
    f.name,
    f.size,
    f.stamp,
    f.digest,
    f.declaration,
    f.look_again,
    f.removed_at is not null as is_removed
from cutover.sync_file as f
where f.source = %(source)s
order by f.name, f.file_id desc
