"""Metrics with confidence intervals, charts of them, and the shortcut baseline that sees no retina.

Training, evaluation, audit, retraining, recalibration, the station, preprocess_images.py and plan_acceptance.py use it.
It imports the rooms run and data.
"""
