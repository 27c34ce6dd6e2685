"""Kaggle's archives: fetched, joined and unpacked.

download_images.sh uses it. It imports the room run.
"""
