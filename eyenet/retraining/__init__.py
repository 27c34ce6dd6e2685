"""New photographs on their way into training, and whether a retrained model replaces the old one.

retrain.py uses it. It imports the shared rooms.
"""
