"""``flareseg data check``: a site's data, looked at before a network sees it.

Imports the readers and ``data.faults``, and never ``data.prepare``.
"""
