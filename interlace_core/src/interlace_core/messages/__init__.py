"""What users are told: errors, warnings, and the checks that raise them."""
