"""Files that pages link to outside docs/, and the script that search needs, become the site's."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\]\((?:\.\./)+((?:examples|scene|inference|cli)/[\w./-]+)\)")
"""A link of a page to a file beside docs/."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files that any page links to; a broken link then fails in strict mode."""
    script = "assets/iframe-worker.js"
    here = Path(__file__).parent / "iframe-worker.js"
    files.append(File.generated(config, script, abs_src_path=str(here)))
    for page in files.documentation_pages():
        for name in LINK.findall(page.content_string):
            path = ROOT / name
            if path.is_file() and files.get_file_from_path(name) is None:
                files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: object, **_: object) -> str:
    """Point such links to the copies: the folder above docs/ is the site's own."""
    depth = page.file.src_uri.count("/")  # type: ignore[attr-defined]
    return LINK.sub(lambda match: f"]({'../' * depth}{match[1]})", markdown)
