"""Names, patients, label tables, splits, copies, duplicates, and the packed array with its shards and order.

Every step from preprocess_images.py on uses it. It imports the rooms run and photo.
"""
