"""A trained model applied to images: found, read, segmented on their own grid, measured and written.

Imports the learner's prediction, readers of data and the overlays of ``report``; knows neither NVFlare nor federation.
"""
