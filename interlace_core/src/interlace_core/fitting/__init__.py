"""From a problem to a fit: start, coordinates, search, polish, verdict; and fits again."""
