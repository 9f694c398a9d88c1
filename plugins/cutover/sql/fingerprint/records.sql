select
    parameters,
    validation,
    review
from cutover.run
where run = %(run)s
