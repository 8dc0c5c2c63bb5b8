"""A trained model for other software: MONAI bundle, TorchScript, safetensors, and a card that says what it is.

Imports the learner's model, records and the facts of ``report``; what is written runs without flareseg.
"""
