select
    'payment' as what,
    expected.a,
    expected.b
from expected
left join transactions as payment on expected.a = payment.external_id and expected.b = payment.user_id::text
where payment.id is null
