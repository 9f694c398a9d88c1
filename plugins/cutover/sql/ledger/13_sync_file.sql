-- Every version of a file that a file drop has read, in the transaction that stored its rows.
create table if not exists cutover.sync_file (
    file_id bigint generated always as identity primary key,
    source text not null,
    -- below the folder; files are read in the order of their names, and a later one's row stands over an earlier one's
    name text not null,
    sync_id bigint not null references cutover.sync,
    -- its number in the sync; a raw row names both
    page_no integer not null,
    path text not null,
    size bigint not null,
    -- what the storage says of a version: time of modification, entity tag
    stamp text not null,
    -- SHA-256 of the bytes as they lie there
    digest text not null,
    declaration text not null,
    rows bigint not null default 0,
    -- of these rows: without a place, of a key that a later line has too, new, with another content, back again
    rejected bigint not null default 0,
    repeated bigint not null default 0,
    new bigint not null default 0,
    changed bigint not null default 0,
    returned bigint not null default 0,
    read_at timestamptz not null default clock_timestamp(),
    -- since when the folder no longer has it
    removed_at timestamptz,
    unique (sync_id, page_no)
);
-- A file of a later name has lost rows that this one may have: it is to be read once more, for those.
alter table cutover.sync_file add column if not exists look_again boolean not null default false;
create index if not exists sync_file_by_name on cutover.sync_file (source, name, file_id);

-- A rejected row of a file: those of a version that is read no more are replaced.
alter table cutover.rejects add column if not exists file_id bigint references cutover.sync_file;
create index if not exists rejects_file on cutover.rejects (file_id) where file_id is not null;
