"""The pace to reach in training: one batch that is given again and again. To be imported after Keras was started."""

import keras


class Again(keras.utils.PyDataset):
    """One batch, given `times` times an epoch."""

    def __init__(self, batch, times):
        super().__init__()
        self.batch, self.times = batch, times

    def __len__(self):
        return self.times

    def __getitem__(self, index):
        return self.batch
