-- What raw holds of the rows at hand; a row that is gone counts as not held, so that it is stored again.
select
    id::text as id,
    case when gone_at is null then content_hash end as content_hash
from {raw}
where id = any(%(ids)s)
