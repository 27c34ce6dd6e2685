"""A trained network: its folder, model.tflite, decision, evidence, and one photograph graded.

Training, evaluation, prediction, retraining and export use it. It imports every other shared room.
"""
