insert into cutover.certificate (run, left_behind, not_validated, inventory_hash, done)
values (%(run)s, %(left_behind)s, %(not_validated)s, %(inventory_hash)s, %(done)s)
on conflict (run) do update
    set
        issued_at = excluded.issued_at,
        left_behind = excluded.left_behind,
        not_validated = excluded.not_validated,
        inventory_hash = excluded.inventory_hash,
        done = excluded.done
