"""Labelled sets as they were published: tables, folders of grades or patients, and whose photograph each file is.

Everything that reads photographs or labels uses it. It imports the rooms run, photo and data.
"""
