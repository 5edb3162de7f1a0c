"""How the documentation is built: `make docs`. Pages are Markdown, lessons are the notebooks as they were saved."""

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = HERE.parent
sys.path[:0] = [str(PROJECT), str(HERE)]

import markdown_pages  # noqa: E402
from try_page.build import build  # noqa: E402

import cnnwidgets  # noqa: E402

# Sphinx reads only what is below this folder, so the lessons come here for the build; git does not see them.
shutil.rmtree(HERE / "lessons", ignore_errors=True)
shutil.copytree(PROJECT / "notebooks", HERE / "lessons", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))

# The page "Try it without installing" is computed by the package itself, once for each change of what it depends on.
EXTRA = PROJECT / "build" / "try-page"
build(EXTRA / "page", EXTRA / "kept")
html_extra_path = [str(EXTRA / "page")]

project = "cnnwidgets"
author = "cnnwidgets contributors"
version = release = cnnwidgets.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
exclude_patterns = ["lessons/images", "lessons/00-*"]  # 00-app is a page to be served, not one to be read

nb_execution_mode = "off"  # a lesson is run by its test; its page shows what it has put out
nb_merge_streams = True
myst_heading_anchors = 3

autodoc_member_order = "bysource"
napoleon_use_ivar = True
python_maximum_signature_line_length = 100

html_theme = "furo"
html_title = "cnnwidgets"
html_show_copyright = False


def setup(app):
    """Markdown pages and llms.txt beside the web pages."""
    app.connect("build-finished", markdown_pages.write_markdown_pages)
