"""Settings of the documentation site. ``make docs`` builds it, offline, with warnings as errors.

What the site shows but does not own (notebooks, proofs, the list of modules) is written into this
folder when a build starts, by ``_ext/prepare.py``, and is not kept under version control.
"""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path

HERE = Path(__file__).resolve().parent
for folder in (HERE.parent, HERE / "_ext"):
    sys.path.insert(0, str(folder))

project = "linvae"
author = "The linvae developers"
version = release = version_of("linvae")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "matplotlib.sphinxext.plot_directive",
    "sphinx_copybutton",
    "prepare",
    "crossrefs",
]
exclude_patterns = ["_build", "_ext", "_static", "course/course/**", "**/.ipynb_checkpoints"]
nitpicky = True
# Of another library; the site is built offline, without its index.
nitpick_ignore = [("py:class", "contextlib.nullcontext")]
pygments_style = "friendly"

html_theme = "furo"
html_title = "linvae"
html_static_path = ["_static", "_build/assets"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False

# One file, with its fonts in it. The menu would fetch more files when it is opened.
mathjax_path = "mathjax/tex-svg-full.js"
mathjax3_config = {
    "options": {"enableMenu": False},
    "svg": {"fontCache": "local", "scale": 0.92},
    "tex": {"inlineMath": [["\\(", "\\)"]], "displayMath": [["\\[", "\\]"]]},
}

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
myst_links_external_new_tab = False

nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_timeout = 180
nb_output_stderr = "error"
nb_merge_streams = True

autodoc_typehints = "none"  # docstrings name the types, with shapes and units
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
napoleon_google_docstring = False
napoleon_numpy_docstring = True
napoleon_use_ivar = True
napoleon_use_rtype = True

plot_formats = ["svg"]
plot_html_show_formats = False
plot_html_show_source_link = False
plot_include_source = True

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
