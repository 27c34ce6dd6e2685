"""Turn the file of a photograph into a square crop of the retina, and decide whether it is gradable.

Used by the image steps, by every room that reads photographs, and by most top-level scripts. Imports the room run.
"""
