"""What crosses the wire and what is kept of a run: checked messages, the record, model files.

Imports settings, files and networks, never NVFlare and neither side of ``flare``: both sides import it.
"""
