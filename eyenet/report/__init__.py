"""The report of an evaluation: units that are scored, figures, charts, words, report.html and the model card.

evaluate.py uses it, and recalibrate.py its tables. It imports the shared rooms.
"""
