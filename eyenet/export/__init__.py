"""Export a trained network to Core ML, LiteRT, ONNX and the offline page; compare each with Keras.

export_model.py uses it. It imports the shared rooms.
"""
