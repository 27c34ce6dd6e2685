"""Download and unpack Kaggle's archives.

download_images.sh uses it. It imports the room run.
"""
