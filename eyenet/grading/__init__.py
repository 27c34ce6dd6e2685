"""Grade many photographs: find and identify them, write their rows.

Used by predict.py and the station. Imports the shared rooms below.
"""
