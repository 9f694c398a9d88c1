-- What people are told of, once each, by every way that is configured; docs/notices.md.

-- Ways beside the first two: a notifier of Airflow's, and a setting that cannot be read.
alter table cutover.notice drop constraint if exists notice_channel_check;
alter table cutover.notice add constraint notice_channel_check
check (channel in ('email', 'webhook', 'notifier', 'setting'));

-- One row for each thing that happened, however often it is looked for, and by whom.
create table if not exists cutover.event (
    event_id bigint generated always as identity primary key,
    migration text not null,
    kind text not null,
    -- which one of its kind
    about text not null,
    run text,
    dag_id text not null,
    dag_run_id text,
    task_id text,
    subject text not null,
    lines text[] not null,
    -- where to find notifiers that were passed to the question's own task; null: none were
    dag_file text,
    noted_at timestamptz not null default clock_timestamp(),
    -- from then on it is no news, and nobody is told any more
    ends_at timestamptz not null,
    unique (migration, kind, about)
);

-- How the telling went: one row for each event and way. Who tells claims the row, for no longer than telling may take.
create table if not exists cutover.delivery (
    event_id bigint not null references cutover.event (event_id),
    way text not null,
    tries integer not null default 1,
    claimed_until timestamptz not null,
    -- null: it has not gone out
    delivered_at timestamptz,
    error text,
    primary key (event_id, way)
);

-- Tasks that have failed for good: no object and no sentence, which may name a person.
create table if not exists cutover.failure (
    failure_id bigint generated always as identity primary key,
    migration text not null,
    run text not null,
    dag_id text not null,
    dag_run_id text not null,
    task_id text not null,
    -- nobody has triggered the run: what fails every hour is told when it has failed for hours
    is_scheduled boolean not null,
    -- null: the task has met something that has no code
    code text,
    remedy text not null,
    failed_at timestamptz not null default clock_timestamp()
);
create index if not exists failure_by_time on cutover.failure (migration, failed_at);

-- The newest question of each run. Its end is told by this database's clock, whatever that of the task says.
create or replace view cutover.question as
select
    q.run,
    q.record_id,
    r.migration,
    r.dag_id,
    r.dag_run_id,
    q.task_id,
    q.result ->> 'asks' as action,
    q.result ->> 'dag_file' as dag_file,
    q.recorded_at as asked_at,
    q.recorded_at + (q.result ->> 'hours')::double precision * interval '1 hour' as ends_at,
    -- null: it has not been withdrawn
    w.recorded_at as withdrawn_at,
    w.result ->> 'why' as withdrawn_for,
    -- 1, and one more for each one before it that was answered or withdrawn: it is another question then
    1 + (
        select count(*)
        from cutover.phase as p
        where p.run = q.run and p.step = 'question' and not p.holds and p.record_id < q.record_id
    ) + (
        select count(*)
        from cutover.approvals as a
        -- after an answer that others have to follow it is the same question still
        where a.run = q.run and a.recorded_at < q.recorded_at and a.completes is not false
    ) as number,
    exists(
        select from cutover.approvals as a
        where a.run = q.run and a.recorded_at >= q.recorded_at and a.completes is not false
    ) as is_answered
from cutover.run as r
inner join lateral (
    select p.*
    from cutover.phase as p
    where p.run = r.run and p.step = 'question' and p.holds
    order by p.record_id desc
    limit 1
) as q on true
left join lateral (
    select p.*
    from cutover.phase as p
    where p.run = r.run and p.step = 'question' and p.record_id > q.record_id
    order by p.record_id
    limit 1
) as w on true;

-- What people are still to be told of. A question that is over is not asked or reminded of any more. That a run has
-- failed without a word is told when its task has had a minute to say why.
create or replace view cutover.news as
select
    e.event_id,
    e.migration,
    e.kind,
    e.about,
    e.run,
    e.dag_id,
    e.dag_run_id,
    e.task_id,
    e.subject,
    e.lines,
    e.dag_file
from cutover.event as e
where
    e.ends_at > clock_timestamp()
    and (
        e.kind not in ('asked', 'reminder')
        or exists (
            select from cutover.question as q
            where
                q.run = e.run
                and e.about = q.run || ' ' || case when e.kind = 'asked' then q.number else q.record_id end
                and q.withdrawn_at is null
                and not q.is_answered
                and not exists (
                    select from cutover.event as f
                    where f.run = q.run and f.kind = 'failed' and f.noted_at > q.asked_at
                )
        )
    )
    and (
        e.kind <> 'failed'
        or e.about <> e.run
        or (
            e.noted_at < clock_timestamp() - interval '1 minute'
            and not exists (select from cutover.failure as f where f.run = e.run)
        )
    );
