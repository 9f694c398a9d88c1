-- Fetched rows into raw.systemeio_contacts: new ones, and those whose content is another than the one stored.
-- The order of `fields` and `tags` says nothing: the same ones in another order are the same contact.
insert into raw.systemeio_contacts as stored (
    id,
    email,
    first_name,
    surname,
    phone_number,
    tags,
    registered_at,
    locale,
    source_url,
    unsubscribed,
    bounced,
    needs_confirmation,
    api_response,
    content_hash,
    sync_id,
    page_no,
    api_synced_at
)
select
    id::bigint as id,
    api_response ->> 'email' as email,
    case
        when plain_fields
            then jsonb_path_query_first(api_response, '$.fields[*] ? (@.slug == "first_name").value') #>> '{}'
        else cutover.field_value(api_response -> 'fields', 'first_name')
    end as first_name,
    case
        when plain_fields
            then jsonb_path_query_first(api_response, '$.fields[*] ? (@.slug == "surname").value') #>> '{}'
        else cutover.field_value(api_response -> 'fields', 'surname')
    end as surname,
    case
        when plain_fields
            then jsonb_path_query_first(api_response, '$.fields[*] ? (@.slug == "phone_number").value') #>> '{}'
        else cutover.field_value(api_response -> 'fields', 'phone_number')
    end as phone_number,
    case
        when plain_tags
            then array(
                    select name
                    from jsonb_array_elements_text(jsonb_path_query_array(api_response, '$.tags[*].name')) as tag (name)
                    where name is not null
                    order by name collate "C"
                )
        else cutover.names(api_response -> 'tags', 'tags')
    end as tags,
    (api_response ->> 'registeredAt')::timestamptz as registered_at,
    api_response ->> 'locale' as locale,
    api_response ->> 'sourceURL' as source_url,
    (api_response ->> 'unsubscribed')::boolean as unsubscribed,
    (api_response ->> 'bounced')::boolean as bounced,
    (api_response ->> 'needsConfirmation')::boolean as needs_confirmation,
    api_response,
    content_hash,
    %(sync_id)s as sync_id,
    page_no,
    now() as api_synced_at
from
    unnest(
        %(ids)s,
        %(content_hashes)s,
        %(page_nos)s::integer[],
        %(responses)s
    ) as fetched (id, content_hash, page_no, api_response)
-- As documented, lists of objects; anything else takes the longer way, and is understood or refused.
cross join
    lateral (
        select
            jsonb_typeof(api_response -> 'tags') = 'array'
            and not jsonb_path_exists(api_response, '$.tags[*] ? (@.type() != "object")') as plain_tags,
            jsonb_typeof(api_response -> 'fields') = 'array'
            and not jsonb_path_exists(api_response, '$.fields[*] ? (@.type() != "object")') as plain_fields
    ) as shape
on conflict (id) do update
    set
        email = excluded.email,
        first_name = excluded.first_name,
        surname = excluded.surname,
        phone_number = excluded.phone_number,
        tags = excluded.tags,
        registered_at = excluded.registered_at,
        locale = excluded.locale,
        source_url = excluded.source_url,
        unsubscribed = excluded.unsubscribed,
        bounced = excluded.bounced,
        needs_confirmation = excluded.needs_confirmation,
        api_response = excluded.api_response,
        content_hash = excluded.content_hash,
        sync_id = excluded.sync_id,
        page_no = excluded.page_no,
        api_synced_at = excluded.api_synced_at,
        gone_at = null
    where
    stored.gone_at is not null
    or cutover.with_sorted(excluded.api_response, 'fields', 'tags')
    is distinct from cutover.with_sorted(stored.api_response, 'fields', 'tags')
returning id::text, xmax = 0 as new
