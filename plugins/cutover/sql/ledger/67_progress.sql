-- What a task does at this moment, or waits for, in words: of no consequence, and no evidence. Unlogged, so that saying
-- how far a replica is behind sends nothing more to it; a server that crashes forgets it.
create unlogged table if not exists cutover.progress (
    run text not null,
    task_id text not null,
    said text not null,
    noted_at timestamptz not null default clock_timestamp(),
    primary key (run, task_id)
);
