-- Charts whose birth date is missing, before 1800, or after the chart was made
select count(*) as found
from public.birth_charts
where birth_date is null or birth_date < '1800-01-01' or birth_date > created_at + interval '1 day'
