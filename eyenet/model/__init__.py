"""A trained network: its folder, model.tflite, decision, evidence, and one photograph graded.

Writes and runs model.tflite; the room export makes the other formats. Training, evaluation, grading, retraining and
export use it. It imports every shared room but letter.
"""
