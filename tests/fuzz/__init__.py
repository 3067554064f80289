"""Random models by number, held against R and against integrals that share no code; see README."""
