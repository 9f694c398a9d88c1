-- What became of every row of every source. `read` counts the source, the other four count what is really there
-- (staged rows, rejects, rules applied to the source), so that the balance is a proof and not a definition.
with
fate as (
    select
        'xendit_invoices' as source,
        'staged' as fate,
        'transaction' as reason,
        count(*) as counted
    from staging.transactions as t
    inner join input.xendit_invoices as source on t.xendit_invoice_id = source.id
    union all
    select
        'xendit_invoices' as source,
        'left_out' as fate,
        'status ' || status as reason,
        count(*) as counted
    from input.xendit_invoices
    where status in ('EXPIRED', 'PENDING')
    group by status
    union all
    select
        'xendit_transactions' as source,
        'merged' as fate,
        movement.reason,
        count(*) as counted
    from staging.transactions as t
    inner join input.payment as payment on t.xendit_invoice_id = payment.invoice_id
    inner join input.movement as movement on payment.transaction_id = movement.id
    inner join input.xendit_transactions as source on payment.transaction_id = source.id
    group by movement.reason
    union all
    select
        'xendit_transactions' as source,
        'merged' as fate,
        movement.reason,
        count(*) as counted
    from input.movement as movement
    inner join input.refund as refund on movement.id = refund.transaction_id
    inner join staging.transactions as t on refund.invoice_id = t.xendit_invoice_id
    group by movement.reason
    union all
    select
        'xendit_transactions' as source,
        'left_out' as fate,
        reason,
        count(*) as counted
    from input.movement
    where fate = 'left_out'
    group by reason
    union all
    select
        'systemeio_contacts' as source,
        'staged' as fate,
        'lead' as reason,
        count(*) as counted
    from staging.leads as lead
    inner join input.systemeio_contacts as source on lead.systemeio_id = source.id::text
    union all
    select
        'systemeio_contacts' as source,
        'merged' as fate,
        'contact of a person who has an earlier one' as reason,
        count(*) as counted
    from staging.leads as lead
    cross join lateral unnest(lead.merged_systemeio_ids) as merged (id)
    inner join input.systemeio_contacts as source on merged.id = source.id::text
    union all
    select
        'systemeio_tags' as source,
        'merged' as fate,
        'tag that leads carry' as reason,
        count(*) as counted
    from input.systemeio_tags
    where name in (select tag.name from staging.leads as lead cross join lateral unnest(lead.tags) as tag (name))
    union all
    select
        'systemeio_tags' as source,
        'left_out' as fate,
        'tag that no lead carries' as reason,
        count(*) as counted
    from input.systemeio_tags
    where
        not exists (
            select
            from staging.leads as lead
            cross join lateral unnest(lead.tags) as tag (name)
            where tag.name = systemeio_tags.name
        )
    union all
    select
        source,
        'rejected' as fate,
        reason,
        count(*) as counted
    from cutover.rejects
    where run = %(run)s
    group by source, reason
),

summed as (
    select
        source,
        fate,
        sum(counted) as counted,
        jsonb_object_agg(reason, counted) filter (where counted > 0) as reasons
    from fate
    group by source, fate
),

balance as (
    select
        source,
        coalesce(sum(counted) filter (where fate = 'staged'), 0) as staged,
        coalesce(sum(counted) filter (where fate = 'merged'), 0) as merged,
        coalesce(sum(counted) filter (where fate = 'left_out'), 0) as left_out,
        coalesce(sum(counted) filter (where fate = 'rejected'), 0) as rejected,
        coalesce(jsonb_object_agg(fate, reasons) filter (where reasons is not null), '{}') as reasons
    from summed
    group by source
),

-- read, and refused before they could become a raw row
refused as (
    select source
    from input.unreadable
    where not has_earlier_form
),

read as (
    select
        'xendit_invoices' as source,
        count(*) + (select count(*) from refused where source = 'xendit_invoices') as counted
    from input.xendit_invoices
    union all
    select
        'xendit_transactions' as source,
        count(*) + (select count(*) from refused where source = 'xendit_transactions') as counted
    from input.xendit_transactions
    union all
    select
        'systemeio_contacts' as source,
        count(*) + (select count(*) from refused where source = 'systemeio_contacts') as counted
    from input.systemeio_contacts
    union all
    select
        'systemeio_tags' as source,
        count(*) + (select count(*) from refused where source = 'systemeio_tags') as counted
    from input.systemeio_tags
)

insert into cutover.reconciliation (run, source, read, staged, merged, left_out, rejected, reasons)
select
    %(run)s as run,
    read.source,
    read.counted as read,
    coalesce(balance.staged, 0) as staged,
    coalesce(balance.merged, 0) as merged,
    coalesce(balance.left_out, 0) as left_out,
    coalesce(balance.rejected, 0) as rejected,
    coalesce(balance.reasons, '{}') as reasons
from read
left join balance on read.source = balance.source
on conflict (run, source) do update
    set
        read = excluded.read,
        staged = excluded.staged,
        merged = excluded.merged,
        left_out = excluded.left_out,
        rejected = excluded.rejected,
        reasons = excluded.reasons,
        recorded_at = clock_timestamp()
