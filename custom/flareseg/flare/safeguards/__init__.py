"""Components of kits that refuse what NVFlare lets through and mend what it leaves broken.

Listed in a kit's ``local/`` files, never in a job; imports ``flare.names``, ``job`` and ``record``.
"""
