"""lake.view: SQL on FHIR v2: a ViewDefinition becomes one SQL statement over the typed tables of the lake.

Room: lake. Standard: https://sql-on-fhir.org/ig/2.0.0/StructureDefinition-ViewDefinition.html

    definition   JSON -> checked View; every fault has its place in the JSON
    path         FHIRPath -> Value (value, member, function, operator, moment): an expression that no engine owns
    plan         View -> steps: project, unnest, union
    sql          the expressions; duckdb and spark print them
    statement    the whole: compile_view(json).sql("duckdb", source)
"""
