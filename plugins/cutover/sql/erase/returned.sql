-- Rows of people who were erased, and whom the source has brought back.
select count(*)
from {raw} as t
where
    exists (
        select
        from cutover.erasure as e
        where
            e.migration = %(migration)s
            and e.erased_at is not null
            and cutover.person_digest(cutover.email_key(t.{address}::text)) = any(e.digests)
    )
