-- Which files, with which digests, the raw rows of a snapshot were read from.
select
    f.source,
    count(*) as files,
    sum(f.rows) as rows,
    encode(sha256(convert_to(string_agg(f.name || ' ' || f.digest, E'\n' order by f.name collate "C"), 'UTF8')), 'hex')
        as digest
from (
    select distinct on (v.source, v.name)
        v.source,
        v.name,
        v.rows,
        v.digest
    from cutover.sync_file as v
    where v.source = any(%(sources)s)
    order by v.source, v.name, v.file_id desc
) as f
group by f.source
order by f.source
