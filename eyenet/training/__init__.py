"""What cnn.py needs beside the learning itself: checkpoints, validation, TensorBoard, devices, the cache of the images.

cnn.py and retrain.py use it. It imports the shared rooms.
"""
