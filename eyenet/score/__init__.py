"""Metrics with confidence intervals, charts of them, and the shortcut baseline that sees no retina.

Training, evaluation, the audit and retraining use it. It imports the rooms run, photo and data.
"""
