"""A hook of mkdocs (see mkdocs.yml): pages and files that the site takes from outside docs/.

Links in the Markdown lead to where files are in the repository, which is what people read most;
here they are made to lead to where the same files are on the site.
"""

import pathlib
import posixpath
import re
from typing import Any

from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "BUILD.md": "building.md"}
"""Pages that lie elsewhere, and their names on the site."""
LINK = re.compile(r"(\]\()(?![a-z]+:|#)([^)#\s]+)")


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages from outside docs/, and every file there that a page links to."""
    for source, name in PAGES.items():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / source)))
    for page in list(files.documentation_pages()):
        for target in _targets(page):
            name = _on_site(target)
            if name.startswith("files/") and files.get_file_from_path(name) is None:
                files.append(File.generated(config, name, abs_src_path=str(ROOT / target)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Makes the links of a page lead to places of the site."""
    here = posixpath.dirname(page.file.src_uri)

    def moved(match: re.Match[str]) -> str:
        target = _on_site(_in_repository(page.file, match[2]))
        return match[1] + posixpath.relpath(target, here or ".")

    return LINK.sub(moved, markdown)


def _targets(page: Any) -> list[str]:
    return [_in_repository(page, match[2]) for match in LINK.finditer(page.content_string)]


def _in_repository(page: Any, link: str) -> str:
    """Returns where in the repository a link of a page leads."""
    source = pathlib.Path(page.abs_src_path).relative_to(ROOT).as_posix()
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link))


def _on_site(path: str) -> str:
    """Returns the place on the site of a file of the repository."""
    if path in PAGES:
        return PAGES[path]
    return path.removeprefix("docs/") if path.startswith("docs/") else f"files/{path}"
