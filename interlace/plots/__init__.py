"""Pictures of a fitted model, drawn with matplotlib (`pip install 'interlace[plots]'`).

Each function takes a result first and returns the axes that it drew on, one or an array of them.
Give `ax` to draw into a figure of your own.
"""

from interlace.plots.coefficients import coefficients
from interlace.plots.effects import effects
from interlace.plots.estimates import caterpillar
from interlace.plots.fits import fitted, path
from interlace.plots.profiles import profile
from interlace.plots.residuals import residuals
from interlace.plots.scaled import scaled_residuals

__all__ = [
    "caterpillar",
    "coefficients",
    "effects",
    "fitted",
    "path",
    "profile",
    "residuals",
    "scaled_residuals",
]
