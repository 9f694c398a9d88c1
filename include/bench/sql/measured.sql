-- A table of ten columns, as a payments table has them.
drop table if exists public.measured;
create table public.measured (
    id uuid not null,
    user_id uuid not null,
    receipt bigint primary key,
    amount numeric(12, 2),
    currency text,
    status text,
    note text,
    paid_at timestamptz,
    doc jsonb,
    flag boolean
);
insert into public.measured
select
    md5(n::text)::uuid,
    md5((n / 3)::text)::uuid,
    n,
    n % 100000 / 100.0,
    'PHP',
    'paid',
    'note number ' || n,
    now() + n * interval '1 second',
    jsonb_build_object('a', n, 'b', 'x'),
    n % 2 = 0
from generate_series(1, {rows}) as n;
