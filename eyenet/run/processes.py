"""End a process with its parent."""

import os
import threading
import time


def end_with_parent(parent):
    """End this process when its parent has ended, even by `kill -9`.

    Otherwise it could write where the parent's next run writes, or wait for work forever.

    Parameters
    ----------
    parent : int
        Process ID of the parent.
    """

    def watch():
        while os.getppid() == parent:
            time.sleep(0.1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
