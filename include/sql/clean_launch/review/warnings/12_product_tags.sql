-- Tags of the catalogue that Systeme.io does not have as the catalogue writes them: gone, twice, or spelled otherwise.
with
carried as (
    select
        tag.name,
        count(*) as contacts
    from input.contact as contact
    cross join lateral unnest(contact.tags) as tag (name)
    group by tag.name
),

known as (
    select
        coalesce(tag.name, carried.name) as name,
        count(distinct tag.id) as tags,
        max(coalesce(carried.contacts, 0)) as contacts
    from input.systemeio_tags as tag
    full join carried on tag.name = carried.name
    group by 1
)

select
    product.product_type as product,
    product.tag,
    'no tag is called so' as what,
    null as found,
    (
        select count(*)
        from input.enrollments as e
        where e.product_type = product.product_type and e.transaction_id is null
    )
        as contacts
from input.product as product
where
    not exists (select from known where known.name = product.tag)
union all
select
    product.product_type as product,
    product.tag,
    'several tags are called so' as what,
    known.name as found,
    known.contacts
from input.product as product
inner join known on product.tag = known.name and known.tags > 1
union all
select
    product.product_type as product,
    product.tag,
    'spelled otherwise: counts for nothing' as what,
    known.name as found,
    known.contacts
from input.product as product
inner join known on cutover.folded(product.tag) = cutover.folded(known.name) and product.tag <> known.name
order by 1, 3, 4
