"""Components of a job's process at a site: executor, privacy scope, statistics and ledger.

Imports the learner and the data, never ``flare.server``: the two meet on the wire alone.
"""
