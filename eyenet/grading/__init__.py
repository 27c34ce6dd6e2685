"""Grade many photographs: find and identify them, write their rows.

Used by predict.py. Imports the shared rooms.
"""
