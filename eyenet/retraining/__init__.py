"""Add new photographs to the array, and decide whether the retrained model replaces the one in use.

Used by retrain.py. Imports the shared rooms.
"""
