"""Take in new photographs for retraining, and decide whether the retrained model replaces the one in use.

Used by retrain.py. Imports the shared rooms.
"""
