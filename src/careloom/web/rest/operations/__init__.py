"""web.rest.operations: the operations of FHIR REST, one file each; what there is stands in registry.OPERATIONS.

Room: web. Standard: https://hl7.org/fhir/R4/operations.html
"""
