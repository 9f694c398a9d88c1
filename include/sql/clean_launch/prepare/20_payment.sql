-- Which PAYMENT transactions paid which invoice: every one that names the invoice, and where none does, those that
-- share its merchant's reference. One transaction pays at most one invoice; an invoice may have been paid more than
-- once. Allowed are statuses that say that money came: SUCCESS, and REVERSED and VOIDED, which say that it went back;
-- a SUCCESS of no amount or no currency is rejected (`80_movement`).
--
-- A reference need not be unique. Of several invoices that share one, a payment is of the one of the same amount and
-- the nearest time. Nearest first: pairs of which each is the other's nearest, then the same among the rest, so that
-- every invoice gets a payment of its own while there are some. What is left of an amount that an invoice has is a
-- second payment of the nearest such; the others are paired in the same way, whatever their amount.
drop table if exists input.payment;
drop table if exists input.pair;
drop table if exists input.payable;
drop table if exists input.unplaced;

-- Fresh copies: without knowing how many rows there are, PostgreSQL compares each with each.
analyze input.xendit_invoices, input.xendit_transactions;

create table input.pair (
    transaction_id text primary key,
    invoice_id text not null
);

insert into input.pair (transaction_id, invoice_id)
select
    t.id as transaction_id,
    i.id as invoice_id
from input.xendit_invoices as i
inner join input.xendit_transactions as t on i.id = t.payment_link_id
where
    i.status in ('PAID', 'SETTLED')
    and t.type = 'PAYMENT'
    and t.status in ('SUCCESS', 'REVERSED', 'VOIDED')
    and (t.status <> 'SUCCESS' or cutover.is_sum(t.amount, t.currency));

create index on input.pair (invoice_id);
analyze input.pair;

-- Paid invoices that no payment names. `fits` is what a payment must have in common beside the reference: the amount,
-- later nothing. Times in seconds, which can be subtracted whatever they are.
create table input.payable as
select
    id,
    external_id as reference,
    coalesce(paid_amount, amount) as fits,
    coalesce(extract(epoch from coalesce(paid_at, created)), 0)::double precision as at,
    true as is_free
from input.xendit_invoices as i
where
    status in ('PAID', 'SETTLED')
    and external_id is not null
    and not exists (select from input.pair where pair.invoice_id = i.id);

-- Payments that share a reference with one of them. One that names another invoice belongs to that one, whatever its
-- reference says.
create table input.unplaced as
select
    id,
    reference_id as reference,
    amount as fits,
    coalesce(extract(epoch from created), 0)::double precision as at,
    status = 'SUCCESS' as is_success,
    true as is_free
from input.xendit_transactions as t
where
    type = 'PAYMENT'
    and status in ('SUCCESS', 'REVERSED', 'VOIDED')
    and (status <> 'SUCCESS' or cutover.is_sum(amount, currency))
    and reference_id in (select payable.reference from input.payable)
    and not exists (select from input.xendit_invoices as i where i.id = t.payment_link_id);

create index on input.payable (reference, fits, at);
create index on input.payable (reference, fits, at) where is_free;
create index on input.unplaced (reference, fits, at) where is_free;
analyze input.payable, input.unplaced;

do $$
declare
    any_amount boolean;
    succeeded boolean;
    paired bigint;
begin
    foreach any_amount in array array[false, true] loop
        if any_amount then
            update input.payable set fits = 0;
            update input.unplaced set fits = 0 where is_free;
        end if;

        foreach succeeded in array array[true, false] loop
            loop
                with
                nearest as (
                    select
                        c.id as transaction_id,
                        c.reference,
                        c.fits,
                        c.at as transaction_at,
                        found.id as invoice_id,
                        found.at as invoice_at
                    from input.unplaced as c
                    cross join lateral (
                        select beside.id, beside.at
                        from (
                            (
                                select p.id, p.at
                                from input.payable as p
                                where p.is_free and p.reference = c.reference and p.fits = c.fits and p.at <= c.at
                                order by p.at desc, p.id asc
                                limit 1
                            )
                            union all
                            (
                                select p.id, p.at
                                from input.payable as p
                                where p.is_free and p.reference = c.reference and p.fits = c.fits and p.at > c.at
                                order by p.at asc, p.id asc
                                limit 1
                            )
                        ) as beside
                        order by abs(beside.at - c.at) asc, beside.at asc
                        limit 1
                    ) as found
                    where c.is_free and c.is_success = succeeded
                ),
                placed as (
                    insert into input.pair (transaction_id, invoice_id)
                    select n.transaction_id, n.invoice_id
                    from nearest as n
                    -- no other is nearer to the invoice
                    where not exists (
                        select
                        from input.unplaced as o
                        where
                            o.is_free
                            and o.is_success = succeeded
                            and o.reference = n.reference
                            and o.fits = n.fits
                            and o.at between n.invoice_at - abs(n.invoice_at - n.transaction_at)
                            and n.invoice_at + abs(n.invoice_at - n.transaction_at)
                            and (abs(o.at - n.invoice_at), o.at, o.id)
                            < (abs(n.transaction_at - n.invoice_at), n.transaction_at, n.transaction_id)
                    )
                    returning transaction_id, invoice_id
                ),
                used as (
                    update input.payable as p set is_free = false from placed where p.id = placed.invoice_id
                )
                update input.unplaced as c set is_free = false from placed where c.id = placed.transaction_id;
                get diagnostics paired = row_count;
                exit when paired = 0;
            end loop;
        end loop;

        -- what is left is a second payment, or a further part, of the nearest
        with
        rest as (
            insert into input.pair (transaction_id, invoice_id)
            select c.id, found.id
            from input.unplaced as c
            cross join lateral (
                select beside.id
                from (
                    (
                        select p.id, p.at
                        from input.payable as p
                        where p.reference = c.reference and p.fits = c.fits and p.at <= c.at
                        order by p.at desc, p.id asc
                        limit 1
                    )
                    union all
                    (
                        select p.id, p.at
                        from input.payable as p
                        where p.reference = c.reference and p.fits = c.fits and p.at > c.at
                        order by p.at asc, p.id asc
                        limit 1
                    )
                ) as beside
                order by abs(beside.at - c.at) asc, beside.at asc
                limit 1
            ) as found
            where c.is_free
            returning transaction_id
        )
        update input.unplaced as c set is_free = false from rest where c.id = rest.transaction_id;
    end loop;
end
$$;

create table input.payment as
select
    pair.invoice_id,
    pair.transaction_id,
    t.status,
    -- in another currency its amount says nothing about the invoice's
    cutover.is_sum(t.amount, t.currency)
    and upper(btrim(coalesce(t.currency, i.currency, 'PHP'))) = upper(btrim(coalesce(i.currency, 'PHP')))
        as counts,
    -- the first that brought money, else the first that brought it and took it back, gives the transaction its id
    row_number() over (
        partition by pair.invoice_id
        order by array_position(array['SUCCESS', 'REVERSED', 'VOIDED'], t.status) asc, t.created asc, t.id asc
    ) as place
from input.pair as pair
inner join input.xendit_transactions as t on pair.transaction_id = t.id
inner join input.xendit_invoices as i on pair.invoice_id = i.id;

drop table input.pair;
drop table input.payable;
drop table input.unplaced;

alter table input.payment add primary key (transaction_id);
create unique index on input.payment (invoice_id, place);
analyze input.payment;
