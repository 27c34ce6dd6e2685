"""Names, patients, EyeNet's own tables, splits, copies, duplicates, and the packed array.

Every step from resize_images.py on uses it. It imports the rooms run and photo.
"""
