-- The table of the measurement, and the trigger as earlier versions had it, beside the changelog of theirs.
drop table if exists public.u;
drop table if exists public.t;
truncate cutover.changelog;
create table if not exists public.recorded (
    change_id bigint generated always as identity primary key,
    xid xid8 not null default pg_current_xact_id(),
    relid oid not null,
    operation text not null check (operation in ('insert', 'update', 'delete', 'truncate')),
    old_row jsonb,
    new_row jsonb,
    changed_at timestamptz not null default clock_timestamp()
);
create index if not exists recorded_relid_xid on public.recorded (relid, xid);
truncate public.recorded;

create or replace function public.recorded_as_json() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    if tg_op = 'INSERT' then
        insert into public.recorded (relid, operation, new_row) values (tg_relid, 'insert', pg_catalog.to_jsonb(new));
    elsif tg_op = 'UPDATE' then
        insert into public.recorded (relid, operation, old_row, new_row)
        values (tg_relid, 'update', pg_catalog.to_jsonb(old), pg_catalog.to_jsonb(new));
    elsif tg_op = 'DELETE' then
        insert into public.recorded (relid, operation, old_row) values (tg_relid, 'delete', pg_catalog.to_jsonb(old));
    else
        insert into public.recorded (relid, operation) values (tg_relid, 'truncate');
    end if;
    return null;
end $$;

create table public.t (
    id bigint primary key,
    status text,
    amount numeric(10, 2),
    meta jsonb,
    created_at timestamptz default now(),
    u uuid default gen_random_uuid(),
    email text,
    n integer,
    f double precision,
    b boolean
);
