-- What a label hides is little, and whoever asks the lake is asked about all of it.
create index res_restricted on res (rtype, key) where is_restricted;
create index hist_restricted on hist (rtype, key) where is_restricted;
