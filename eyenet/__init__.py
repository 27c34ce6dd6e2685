"""The rooms of EyeNet; CONTRIBUTING.md lists them.

The shared ones, from the lowest up: run, photo, data, sets, score, model, letter, grading, forms.
"""
