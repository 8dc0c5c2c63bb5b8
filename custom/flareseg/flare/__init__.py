"""Adapters between NVFlare and the rest of the package, and the only folder that imports ``nvflare``.

Its rooms say where a line runs; beside them ``names`` serves all of them and ``session`` the lead.
"""
