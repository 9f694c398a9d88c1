-- References of other people's rows to rows of a person.
update {copy} as s
set {lead} = null
where
    s.{lead} in (select t.{referred_key} from {referred} as t where {theirs})
    and not exists (select from {copy} as t where t.ctid = s.ctid and {own})
