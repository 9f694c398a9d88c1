select
    count(*) as stored,
    count(*) filter (where gone_at is null) as present
from {raw}
