-- Rows of others that name a person, without the name.
update {copy} as t
set {lead} = cast(regexp_replace(t.{lead}::text, %(mention)s, %(erased)s, 'gi') as {type_name})
where lower(t.{lead}::text) ~ %(mention)s
