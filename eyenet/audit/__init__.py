"""The checks of the audit: patients in two splits, duplicates, and shortcuts that give the class away.

audit_leakage.py uses it. It imports the shared rooms.
"""
