"""Names, patients, label tables, splits, copies, the packed array, and duplicates.

Every step from preprocess_images.py on uses it. It imports the rooms run and photo.
"""
