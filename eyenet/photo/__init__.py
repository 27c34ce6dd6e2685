"""Turn the file of a photograph into a square crop of the retina, and decide whether it is gradable.

Used by the image steps, prediction, retraining and export. Imports the room run.
"""
