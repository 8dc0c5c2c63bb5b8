"""The ``flareseg`` command: one module a group, which prints what other rooms work out.

May import every room; nothing imports it.
"""
