-- By which interaction a version was made: the numbers stand in store/deed.py; 0: it was written before they were kept.
alter table res add column deed smallint not null default 0;
alter table hist add column deed smallint not null default 0;
