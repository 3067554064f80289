"""The edits, by what they are of."""

from mutants.edits import after, engine, families, fitting, inference, structures

MUTANTS = (
    *engine.MUTANTS,
    *fitting.MUTANTS,
    *families.MUTANTS,
    *inference.MUTANTS,
    *after.MUTANTS,
    *structures.MUTANTS,
)
