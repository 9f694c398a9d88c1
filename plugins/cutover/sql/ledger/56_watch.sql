-- What was looked at after a launch, and what it has shown: one row per check and look.
create table if not exists cutover.watch (
    watch_id bigint generated always as identity primary key,
    -- the launch that is watched
    run text not null references cutover.run (run),
    name text not null,
    -- baseline: from before the swap
    moment text not null check (moment in ('baseline', 'watch')),
    -- null: there was nothing to measure
    value numeric,
    verdict text not null check (verdict in ('good', 'bad', 'inconclusive')),
    detail text,
    -- what a service had counted until then, for the next look to count from
    counted jsonb,
    looked_at timestamptz not null default clock_timestamp()
);
create index if not exists watch_run on cutover.watch (run, name, watch_id);

-- Which DAG run watches a launch: one. Whoever has not looked for three intervals is taken for gone.
create table if not exists cutover.watcher (
    run text primary key references cutover.run (run),
    watcher text not null,
    looked_at timestamptz not null default clock_timestamp()
);
