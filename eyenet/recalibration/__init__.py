"""Choose a network's calibration and thresholds again on a clinic's own photographs, and write a new model folder.

Used by recalibrate.py. Imports the shared rooms.
"""
