"""Job folders: made, bundled, reviewed and approved, and the classes that they may name.

Imports settings, networks and privacy scopes, but no NVFlare: a job is configuration.
"""
