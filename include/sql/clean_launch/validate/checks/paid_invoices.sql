-- Every PAID or SETTLED invoice is one transaction, or is among the rejects.
select
    i.id as invoice_id,
    i.status,
    count(t.id) as transactions,
    count(r.reject_id) as rejects
from input.xendit_invoices as i
left join staging.transactions as t on i.id = t.xendit_invoice_id
left join cutover.rejects as r on i.id = r.source_id and r.source = 'xendit_invoices' and r.run = %(run)s
where i.status in ('PAID', 'SETTLED')
group by i.id, i.status
having count(t.id) + count(r.reject_id) <> 1
