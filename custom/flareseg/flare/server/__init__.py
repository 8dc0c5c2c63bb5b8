"""Components of a job's process at the server: workflow, aggregation, selection, record and checkpoints.

Imports ``record``, never ``flare.site``: the two meet on the wire alone.
"""
