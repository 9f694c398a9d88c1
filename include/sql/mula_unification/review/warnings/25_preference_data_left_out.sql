-- Preferences whose `data` is no JSON object: everything else of them is kept
select
    preference.source,
    preference.legacy_id,
    preference.user_id
from input.preference as preference
where preference.is_data_left_out and preference.fate <> 'rejected'
order by preference.source asc, preference.legacy_id asc
