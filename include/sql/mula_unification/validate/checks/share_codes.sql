-- Every shared link goes on working: each share code of the source leads to the result it led to, unless that was
-- rejected or has been deleted since.
select
    source.id as legacy_id,
    source.share_code,
    staged.id as leads_to
from input.compatibility_results as source
inner join input.result as judged on source.id::text = judged.legacy_id
left join staging.compatibility_results as staged on source.share_code = staged.share_code
where
    source.share_code is not null
    and judged.fate in ('staged', 'merged')
    and staged.id is distinct from judged.id
    -- somebody has given the result another code in the unified database
    and not exists (
        select
        from input.live_compatibility_results as live
        where
            live.id = judged.id
            and live.share_code is distinct from source.share_code
            and judged.fate = 'merged'
    )
