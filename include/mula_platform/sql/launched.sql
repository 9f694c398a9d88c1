-- When the launch that stands went live.
select swapped_at
from platform.launch;
