-- A staged row that continues a current one keeps its id and number: rows outside and printed receipts refer to them.
select
    'transactions' as table_name,
    c.id as current_id,
    t.id as staged_id,
    c.receipt_no as current_no,
    t.receipt_no as staged_no
from input.transactions as c
inner join staging.transactions as t on c.xendit_invoice_id = t.xendit_invoice_id
where
    c.id <> t.id
    or c.receipt_no <> t.receipt_no
union all
select
    'enrollments' as table_name,
    c.id as current_id,
    e.id as staged_id,
    c.enrollment_no as current_no,
    e.enrollment_no as staged_no
from input.enrollments as c
inner join staging.enrollments as e on c.user_id = e.user_id and c.product_type = e.product_type
where
    c.id <> e.id
    or c.enrollment_no <> e.enrollment_no
union all
select
    'affiliates' as table_name,
    c.id as current_id,
    a.id as staged_id,
    null as current_no,
    null as staged_no
from input.affiliates as c
inner join staging.affiliates as a on c.user_id = a.user_id
where c.id <> a.id
