select
    min({column}) as oldest,
    max({column}) as newest
from {raw}
