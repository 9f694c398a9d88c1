-- The chain: a signed link for every piece of evidence, each naming the one before it. A link's payload is the
-- text that was signed; links are computed, signed and verified outside the database (plugins/cutover/chain.py).
create table if not exists cutover.chain (
    -- 1, 2, 3 …, without gaps: a link is numbered while the table is locked
    link bigint primary key,
    kind text not null,
    run text,
    -- the rows that it covers, "<table> <key>", to be found by; what counts is the payload
    subjects text[] not null,
    payload text not null,
    digest text not null,
    previous text,
    head text not null,
    key_id text not null,
    signature text not null,
    signed_at timestamptz not null
);
create index if not exists chain_run on cutover.chain (run);
revoke all on cutover.chain from public;

-- What the engine never does to evidence, nobody does in passing.
create or replace function cutover.keep_unchanged() returns trigger
language plpgsql set search_path = '' as $$
begin
    raise exception '% of cutover.% would change evidence: it is append-only', tg_op, tg_table_name
    using errcode = 'insufficient_privilege';
end $$;

create or replace trigger keep_chain before update or delete on cutover.chain
for each row execute function cutover.keep_unchanged();
create or replace trigger keep_whole_chain before truncate on cutover.chain
for each statement execute function cutover.keep_unchanged();
create or replace trigger keep_whole_ledger before truncate on cutover.ledger
for each statement execute function cutover.keep_unchanged();
create or replace trigger keep_whole_approvals before truncate on cutover.approvals
for each statement execute function cutover.keep_unchanged();
create or replace trigger keep_certificates before delete on cutover.certificate
for each row execute function cutover.keep_unchanged();
create or replace trigger keep_all_certificates before truncate on cutover.certificate
for each statement execute function cutover.keep_unchanged();
create or replace trigger keep_runs before delete on cutover.run
for each row execute function cutover.keep_unchanged();
create or replace trigger keep_all_runs before truncate on cutover.run
for each statement execute function cutover.keep_unchanged();
