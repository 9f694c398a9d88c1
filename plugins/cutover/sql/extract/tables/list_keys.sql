select
    {key},
    {stamp}
from {source} as t
where {condition}
