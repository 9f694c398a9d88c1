-- Switches a feature on or off.
update platform.feature_flag
set is_on = %(is_on)s, changed_at = now()
where name = %(name)s
returning meaning;
