-- What was erased: of the request that it was, or by itself. From now on it names nobody.
with done as (
    update cutover.erasure
    set subject = null, counts = %(counts)s, approved_by = %(by)s, erased_at = clock_timestamp(), digests = %(digests)s
    where erasure_id = %(erasure_id)s::bigint
    returning erasure_id
),

added as (
    insert into cutover.erasure (migration, digests, requested_by, counts, approved_by, erased_at)
    select
        %(migration)s as migration,
        %(digests)s as digests,
        %(by)s as requested_by,
        %(counts)s as counts,
        %(by)s as approved_by,
        clock_timestamp() as erased_at
    where %(erasure_id)s::bigint is null
    returning erasure_id
)

select erasure_id from done
union all
select erasure_id from added
