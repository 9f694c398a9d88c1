-- A digest of everybody whom a run would tell, as the rows are now; of an erased person that of before counts.
select
    encode(
        sha256(
            convert_to(
                coalesce(
                    string_agg(
                        case when a.erased_at is null then cutover.audience_digest(a) else a.digest end,
                        ' '
                        order by a.audience_id
                    ),
                    ''
                ),
                'UTF8'
            )
        ),
        'hex'
    )
from cutover.audience as a
where a.run = %(run)s
