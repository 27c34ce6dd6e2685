"""A trained network in other forms: Core ML, LiteRT, ONNX and the offline page, each with its proof.

export_model.py uses it. It imports the shared rooms.
"""
