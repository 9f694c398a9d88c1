-- What a student's page shows; row-level security narrows it to the student.
select
    profile.full_name,
    my_transactions.receipt_no,
    my_transactions.amount
from unified_profiles as profile
cross join my_transactions
