"""The rooms of EyeNet; CONTRIBUTING.md lists them. The shared ones: run, photo, data, sets, score, model, letter."""
