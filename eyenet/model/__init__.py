"""A trained network: its folder, model.tflite, decision, evidence, and one photograph graded.

Writes and runs model.tflite; the room export makes the other formats. Training, evaluation, grading, retraining,
recalibration, export, forms and station use it. It imports the rooms run, photo, data, sets and score.
"""
