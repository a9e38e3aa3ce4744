"""lake.omop: the OMOP Common Data Model 5.4 of what the lake holds, and its data quality checks.

Room: lake. May import: lake, duckdb. https://ohdsi.github.io/CommonDataModel/cdm54.html
"""
