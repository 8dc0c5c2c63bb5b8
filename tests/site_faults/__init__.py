"""Sites with one fault each: for every kind of the check's table somebody who plants it."""

from site_faults import files, geometry, intensities, labels, splits
from site_faults.site import FAULTS, Fault, PlantedSite

__all__ = ["FAULTS", "Fault", "PlantedSite", "files", "geometry", "intensities", "labels", "splits"]
