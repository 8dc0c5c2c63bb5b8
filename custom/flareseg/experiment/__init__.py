"""A question that is answered by many simulated runs: arms by data by seeds.

Each run is a small JSON file that is kept; the report reads these alone.
"""
