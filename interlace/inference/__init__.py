"""What a fit says about its parameters: covariance, intervals, profiles, tests, comparisons."""
