with stated as (
    select address_key(a) as key, a from (select unnest(address) as a from "Patient")
    union all select address_key(a), a from (select unnest(address) as a from "Organization")
    union all select address_key(address), address from "Location"
)
select key, any_value(a.line[1] order by a::varchar) as address_1, any_value(a.line[2] order by a::varchar) as address_2,
    any_value(a.city order by a::varchar) as city,
    any_value(case when length(a.state) = 2 then a.state end order by a::varchar) as state,
    any_value(replace(a.postalCode, '-', '') order by a::varchar) as zip,
    any_value(a.district order by a::varchar) as county, key as location_source_value,
    any_value(a.country order by a::varchar) as country_source_value
from stated where key is not null group by key
