"""Training and scoring at one place, without federation."""
