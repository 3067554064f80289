"""The edits, by what they are of."""

from mutants.edits import (
    after,
    engine,
    families,
    fitting,
    further,
    inference,
    priors,
    searches,
    structures,
)

MUTANTS = (
    *engine.MUTANTS,
    *fitting.MUTANTS,
    *families.MUTANTS,
    *inference.MUTANTS,
    *after.MUTANTS,
    *structures.MUTANTS,
    *searches.MUTANTS,
    *further.MUTANTS,
    *priors.MUTANTS,
)
