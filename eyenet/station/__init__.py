"""The screening station: its inbox, its register of answers, decisions and referrals, and what it shows.

Used by screen.py. Imports the shared rooms.
"""
