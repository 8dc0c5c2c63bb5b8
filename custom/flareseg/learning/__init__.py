"""Training and scoring at one place, without federation.

Imports the data, networks, losses and both methods; knows neither NVFlare nor other sites.
"""
