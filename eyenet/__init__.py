"""What several EyeNet scripts must agree on: pixels, names, splits, tables, and how a stage runs."""
