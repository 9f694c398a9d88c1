-- Rows that name a row of another table which is not there.
select count(*) as orphans
from {source} as child
where
    child.{column} is not null
    and not exists (
        select
        from {parent} as parent
        where parent.{key} = child.{column}
    )
