"""How `nox -s site` makes the documentation site from the pages of this folder."""

import importlib.metadata
import os

project = "interlace"
author = "the interlace developers"
copyright = "the interlace developers"
release = importlib.metadata.version("interlace")
version = ".".join(release.split(".")[:2])

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "_templates"]
templates_path = ["_templates"]

# Pages are Markdown that reads well in a repository too: links lead to files and their headings.
myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]
myst_heading_anchors = 4

# The analyses of the gallery are run when the site is built, and an error in one fails it.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

# Docstrings: single backticks hold code, types are said in the text.
default_role = "code"
autosummary_generate = True
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"
autodoc_member_order = "groupwise"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

# Classes that no user constructs.
MADE_BY_FITS = (
    "interlace.GLMMResult",
    "interlace.LMMResult",
    "interlace.CLMMResult",
    "interlace.results.",
    "interlace.linear.",
    "interlace.ordinal.",
    "interlace.reporting.",
    "interlace.inference.",
)

html_theme = "pydata_sphinx_theme"
html_title = "interlace"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {
    "show_prev_next": True,
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "show_toc_level": 2,
}

# Where the site is served from tells where the list of its versions is; one by hand has no menu.
if "SITE_URL" in os.environ:
    url = os.environ["SITE_URL"].rstrip("/")
    html_baseurl = f"{url}/{os.environ['SITE_VERSION']}/"
    html_theme_options |= {
        "switcher": {
            "json_url": f"{url}/switcher.json",
            "version_match": os.environ["SITE_VERSION"],
        },
        "navbar_end": ["version-switcher", "theme-switcher"],
        "check_switcher": False,
    }


def setup(app):
    """Leave out how a result is constructed: users are given one."""
    app.connect("autodoc-process-signature", without_construction)


def without_construction(app, what, name, obj, options, signature, returned):
    """Return an empty signature for what only a fit or a method of a result makes."""
    if what == "class" and name.startswith(MADE_BY_FITS):
        return "", None
    return None
