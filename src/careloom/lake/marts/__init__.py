"""lake.marts: tables that people ask for first, by person: stays, readmissions, utilisation and cost, chronic conditions.

Room: lake. May import: lake, duckdb.
"""
