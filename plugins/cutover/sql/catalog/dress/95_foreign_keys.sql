-- Foreign keys of the table to others of the set, on the incoming tables. Those to live tables come in the move: before
-- it, one of them would refuse or follow what the application does to the live table. Validating is a step of its own,
-- because the step before it locks both tables.
with key as (
    select
        k.*,
        f.relname as referenced_name,
        -- the definition up to the referenced table, letter by letter: nothing is searched for in it
        format(
            'FOREIGN KEY (%%s) REFERENCES %%s',
            (
                select
                    string_agg(
                        case when to_jsonb(k) ->> 'conperiod' = 'true' and n.position = cardinality(k.conkey)
                                then 'PERIOD '
                            else ''
                        end || quote_ident(a.attname),
                        ', ' order by n.position
                    )
                from unnest(k.conkey) with ordinality as n (attnum, position)
                join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = n.attnum
            ),
            k.confrelid::regclass
        ) as head,
        pg_get_constraintdef(k.oid) as definition
    from pg_catalog.pg_constraint as k
    join pg_catalog.pg_class as f on f.oid = k.confrelid
    where k.conrelid = %(production)s::oid and k.contype = 'f' and k.confrelid = any(%(tables)s::oid[])
)

select
    quote_ident(k.conname) as object,
    case
        when starts_with(k.definition, k.head || '(') then format(
                'alter table %%s add constraint %%I %%s %%I.%%I%%s%%s', %(incoming)s::oid::regclass, k.conname,
                left(k.head, -length(' ' || k.confrelid::regclass::text)), %(incoming_schema)s::text, k.referenced_name,
                substr(k.definition, length(k.head) + 1),
                case when k.convalidated then ' NOT VALID' end
            )
    end as statement
from key as k
union all
select
    quote_ident(k.conname),
    format('alter table %%s validate constraint %%I', %(incoming)s::oid::regclass, k.conname)
from key as k
where k.convalidated
union all
select
    quote_ident(k.conname),
    format(
        'comment on constraint %%I on %%s is %%L',
        k.conname,
        %(incoming)s::oid::regclass,
        obj_description(k.oid, 'pg_constraint')
    )
from key as k
where obj_description(k.oid, 'pg_constraint') is not null
