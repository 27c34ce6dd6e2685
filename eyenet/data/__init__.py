"""Names, patients, EyeNet's own tables, splits, copies, duplicates, and the packed array.

The steps from preprocess_images.py on and most rooms above use it. It imports the rooms run and photo.
"""
