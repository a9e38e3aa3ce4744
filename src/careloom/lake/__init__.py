"""lake: the analytical store: typed tables of Resources, and views over them.

Room: lake. May import: store, fhir; the only room that imports duckdb, deltalake, pyarrow and pyspark.
"""
