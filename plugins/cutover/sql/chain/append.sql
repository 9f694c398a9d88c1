insert into cutover.chain (
    link, kind, run, subjects, payload, digest, previous, head, key_id, signature, signed_at
)
values (
    %(link)s, %(kind)s, %(run)s, %(subjects)s, %(payload)s, %(digest)s, %(previous)s, %(head)s, %(key_id)s,
    %(signature)s, %(signed_at)s
)
