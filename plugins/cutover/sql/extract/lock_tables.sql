-- Which tables there are is one session's business at a time, until its transaction ends.
insert into cutover.sync_turn as t (source) values ('*')
on conflict (source) do update set source = excluded.source
