"""lake.kept: views whose rows are kept as tables, and brought up to date resource by resource while the lake follows the feed.

Room: lake.

    table    one Delta table: the rows of a view, each with the resource and the version that it came of
    rows     a view run on some resources: its rows with their keys; what cannot be run is found and set aside
    keeper   which views are kept; a batch of changes goes through them; one that is new or changed is made anew
"""
