"""Export a trained network to Core ML, LiteRT, ONNX and the offline page, each compared with Keras (probabilities, AUC).

export_model.py uses it. It imports the shared rooms.
"""
