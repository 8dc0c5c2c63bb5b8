"""``flareseg site check``: is this site ready to join, and if not, what is to be done?

Runs at a site before it joins; imports ``flare.provision`` for what a kit should hold, and ``data.check``.
"""
