"""How a script runs: errors and exit codes, options, files and folders, workers, processes, a Dask cluster.

Every other room and every script uses it. It imports no other room.
"""
