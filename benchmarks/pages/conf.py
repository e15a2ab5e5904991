"""Sphinx's settings for the pages."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

import fastact  # noqa: E402
from benchmarks import differences, generate  # noqa: E402
from benchmarks.pages import readme  # noqa: E402

project = "fastact"
release = version = fastact.__version__
html_title = f"fastact {release}"

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc", "benchmarks.pages.formulas"]
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"fastact\.fallback\..*")]  # every function once more, with the same docstring

myst_enable_extensions = ["dollarmath", "substitution", "attrs_inline"]
myst_heading_anchors = 3
#: What is written elsewhere and shown here: ``{{ differences }}`` in a page.
myst_substitutions = {
    "bounds": readme.bounds(),
    "differences": differences.table(),
    "words": generate.words(),
}

autodoc_typehints = "none"  # numpydoc's sections name types
autodoc_default_options = {"inherited-members": False}
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
add_module_names = False
python_display_short_literal_types = True

html_theme = "furo"
html_static_path = [str(ROOT / "fastact" / "docs" / "static")]
html_css_files = ["pages.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
pygments_style = "default"
pygments_dark_style = "github-dark"
