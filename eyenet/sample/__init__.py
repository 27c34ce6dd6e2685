"""Drawings of retinas with and without lesions, for the sample that needs no download.

make_sample.py uses it, and adds the camera: frame, light, noise. It imports no other room.
"""
