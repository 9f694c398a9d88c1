update unified_profiles set phone = %(phone)s
where id = %(profile)s
returning id
