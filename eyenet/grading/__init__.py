"""Grade many photographs: find and identify them, write their rows.

predict.py, the forms and the station use it. It imports the rooms run, photo, data and model.
"""
