"""Sphinx' settings for the site; `build.py` calls it."""

from __future__ import annotations

from glyphnet import __version__

project = "GlyphNet"
author = "The GlyphNet authors"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 4
myst_links_external_new_tab = False
default_role = "code"  # our docstrings name code in single backticks
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "exclude-members": "model_config"}
napoleon_google_docstring, napoleon_numpy_docstring, napoleon_use_ivar = True, False, True
html_theme = "furo"  # fonts of the system, nothing from elsewhere
html_title = "GlyphNet"
html_show_sourcelink = html_copy_source = False
html_show_search_summary = False  # summaries are fetched, and a browser refuses that for files
html_theme_options = {"light_css_variables": {"color-brand-primary": "#0067a8", "color-brand-content": "#0067a8"}}
suppress_warnings = ["myst.header"]  # a page of GitHub's may begin with any heading
