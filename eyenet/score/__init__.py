"""Figures with intervals, the charts of them, and what can be told without looking at the retina.

Training, evaluation, the audit and retraining use it. It imports the rooms run, photo and data.
"""
