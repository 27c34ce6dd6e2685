"""Drawings of retinas with and without lesions, for the sample that needs no download.

make_sample.py uses it. It imports no other room.
"""
