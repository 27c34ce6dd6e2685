"""What cnn.py needs beside the learning itself: checkpoints, validation, TensorBoard, devices, the cache of the images.

cnn.py uses it. It imports the shared rooms.
"""
