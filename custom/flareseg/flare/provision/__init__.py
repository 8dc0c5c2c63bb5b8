"""What makes a kit: NVFlare builders, policies, certificates and the files of a kit.

Runs where kits are provisioned; imports ``flare.safeguards`` and ``job`` for what a policy lists.
"""
