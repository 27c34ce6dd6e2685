"""From the file of a photograph to a square crop of the retina, and whether that crop can be graded.

The image steps, prediction, retraining and export use it. It imports the room run.
"""
