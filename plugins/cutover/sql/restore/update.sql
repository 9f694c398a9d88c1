-- Live rows as they are in the backup.
update {live} as t
set {assignments}
from unnest({places}::tid[], {sources}::tid[]) as k (place, source)
join {copy} as b on k.source = b.ctid
where t.ctid = k.place
