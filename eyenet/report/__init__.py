"""The report of an evaluation: units that are scored, figures, charts, words, report.html and the model card.

evaluate.py uses it. It imports the shared rooms.
"""
