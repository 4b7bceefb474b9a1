"""How Sphinx builds these pages: make docs shows them, make check fails on a broken link."""

project = "imgpipe"
extensions = ["myst_parser"]
myst_enable_extensions = ["tasklist"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "imgpipe"
# The pages load nothing from other sites and need no list of sources beside them.
html_copy_source = False
html_show_sphinx = False
exclude_patterns = ["_build"]
