-- The timeline of a maintenance window: what was planned for when, beside when it was.
create table if not exists cutover.timeline (
    run text not null,
    step text not null,
    position integer not null,
    planned_at timestamptz,
    started_at timestamptz,
    ended_at timestamptz,
    note text,
    primary key (run, step)
);
-- When people were told that the step is late.
alter table cutover.timeline add column if not exists told_late_at timestamptz;

-- Rows of the sources that were written after the copy that a run is made from: detected, counted, not in the run.
create table if not exists cutover.late_write (
    run text not null,
    moment text not null check (moment in ('review', 'verify')),
    source text not null,
    written bigint not null,
    removed bigint not null,
    looked_at timestamptz not null default clock_timestamp(),
    primary key (run, moment, source)
);
