insert into cutover.sync_state as kept (
    source, api, account, declaration, watermark, cursor_name, sweep, stored, last_sync, last_full_sync
)
values (
    %(source)s, %(api)s, %(account)s, %(declaration)s, %(watermark)s, %(cursor_name)s, %(sweep)s, %(stored)s,
    %(sync_id)s, %(sync_id)s
)
on conflict (source) do update set
    api = excluded.api,
    account = excluded.account,
    declaration = excluded.declaration,
    watermark = case when %(full)s then excluded.watermark else greatest(kept.watermark, excluded.watermark) end,
    cursor_name = excluded.cursor_name,
    sweep = excluded.sweep,
    stored = excluded.stored,
    last_sync = excluded.last_sync,
    last_full_sync = case when %(full)s then excluded.last_sync else kept.last_full_sync end
