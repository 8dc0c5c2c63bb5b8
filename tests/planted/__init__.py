"""Sites with one fault each: for every kind of the check's table somebody who plants it."""

from planted import files, geometry, intensities, labels, splits
from planted.site import FAULTS, Fault, PlantedSite

__all__ = ["FAULTS", "Fault", "PlantedSite", "files", "geometry", "intensities", "labels", "splits"]
