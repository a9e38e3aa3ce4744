-- Whether a patient has a code, which patients have it, and the newest value of it: asked by _has and at each bedside.
create index res_pat_code on res (code, pat, dlo) where pat is not null and code is not null;
-- A code is of one parameter and so of one type: without this PostgreSQL takes the two for independent.
create statistics res_type_of_code (dependencies) on rtype, code from res;
-- Ties are broken by key. Of a type that has no clinical time all rows are a tie, and each page had sorted them all.
drop index res_date;
create index res_date on res (rtype, dlo, key);
-- As res_long: what is beyond a value is found by lo if it is a point, as nearly all are, and here if it is a range.
create index s_qty_range on s_qty (sp, hi) where hi > lo;
