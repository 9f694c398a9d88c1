select count(*) as present
from {raw}
where gone_at is null
