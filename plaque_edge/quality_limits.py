"""The limits of the quality gate, in one place, with their source.

Most follow the table "QC gate" that the project's domain notes propose from the acquisition
guideline of the Society of Cardiovascular Computed Tomography (SCCT 2016,
10.1016/j.jcct.2016.10.002) and from published sensitivity of plaque volumes to the
technique; they are proposals, not standards, and none is validated on patients.
"""

from __future__ import annotations

SPACING_WARN_MM, SPACING_REFUSE_MM = 0.75, 1.0
"""Slice spacing and slice thickness: above 0.75 mm small plaque blurs away."""
PIXEL_WARN_MM, PIXEL_REFUSE_MM = 0.45, 0.6
"""In-plane pixel spacing: 0.45 mm is a 230 mm field of view on 512 pixels."""
FIELD_WARN_MM, FIELD_REFUSE_MM = 140.0, 100.0
"""Side of the image: a heart is 100 to 140 mm wide; a smaller image cuts it off."""
COVERAGE_WARN_MM, COVERAGE_REFUSE_MM = 90.0, 60.0
"""Length of the scan from feet to head; ostia to apex are about 90 to 120 mm."""
AORTA_PASS_HU = (300.0, 500.0)
AORTA_LIMIT_HU = (200.0, 700.0)
"""Mean in the aortic root. Below 200 HU lumen and plaque can't be told apart; above 700 HU
iodine hides calcium."""
NOISE_WARN_HU, NOISE_REFUSE_HU = 35.0, 50.0
"""Standard deviation in the aortic root."""
KVP_PASS, KVP_LIMIT = (100.0, 120.0), (70.0, 140.0)
"""Tube voltage: the HU thresholds of plaque were found at 100 to 120 kVp."""
LENGTH_PASS_MM, LENGTH_WARN_MM = (300.0, 900.0), (120.0, 1400.0)
"""Length of all branches together; outside the second pair the tree is implausible."""
MIN_MAIN_VESSELS = 2
"""With fewer of LM, LAD, LCX and RCA found, nothing is summed."""
ENHANCED_HU = 180.0
"""Blood in the heart and aorta of a contrast scan is brighter than this; without contrast it
is at 30 to 60 HU, in a venous chest scan at 100 to 170 HU."""
