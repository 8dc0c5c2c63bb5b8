"""A federation on one machine: NVFlare's POC mode in a workspace of its own."""
