-- Why the rows of a source were refused lately, and how often: the commonest reason.
select
    r.detail,
    count(*) as rows
from (
    select r.detail
    from cutover.rejects as r
    where r.source = %(source)s
    order by r.reject_id desc
    limit 1000
) as r
group by r.detail
order by count(*) desc, r.detail
limit 1
