"""The rooms of EyeNet; CONTRIBUTING.md lists them. run, photo, data, score and model are the shared ones."""
