"""Studies: several trainings whose outcomes are compared (seeds, tuning, comparison)."""
