"""Pictures of a fitted model, drawn with matplotlib (`pip install 'interlace[plots]'`).

Each function takes a result first and returns the axes that it drew on, one or an array of them.
Give `ax` to draw into a figure of your own.
"""

from interlace.plots.estimates import caterpillar, coefficients
from interlace.plots.fits import fitted, path
from interlace.plots.profiles import profile
from interlace.plots.residuals import residuals

__all__ = ["caterpillar", "coefficients", "fitted", "path", "profile", "residuals"]
