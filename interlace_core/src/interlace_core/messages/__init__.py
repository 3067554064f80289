"""What users are told: errors, warnings, progress, and the checks that raise them."""
