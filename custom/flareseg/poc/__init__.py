"""A federation on one machine: NVFlare's POC mode in a workspace of its own.

Imports jobs, the phantom and ``flare.session``; runs NVFlare's commands as processes.
"""
