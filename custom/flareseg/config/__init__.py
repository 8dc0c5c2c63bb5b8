"""The settings files of a federation, task.yaml and site.yaml, as checked models.

Imports only ``errors``: every other room may read settings.
"""
