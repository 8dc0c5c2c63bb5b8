"""``flareseg site check``: is this site ready to join, and if not, what is to be done?"""
