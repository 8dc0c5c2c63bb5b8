"""``flareseg data prepare``: a source folder of a known layout becomes a datalist and a ``site.yaml``.

Imports the readers of ``data``, and nothing imports it but the commands.
"""
