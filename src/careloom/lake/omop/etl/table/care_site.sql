select 'Organization/' || id as key, name as care_site_name, id as care_site_source_value,
    address_key(address[1]) as location_id, said_in(type[1]) as place_of_service_source_value
from "Organization"
union all by name
select 'Location/' || id as key, name as care_site_name, id as care_site_source_value,
    address_key(address) as location_id, said_in(type[1]) as place_of_service_source_value
from "Location"
