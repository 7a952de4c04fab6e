"""What is made when the site is built: the reference of the API, the picture of the decision rule, lists of pages."""

import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]

from app.core.settings import Settings  # noqa: E402  # found by the line above
from app.main import create_app  # noqa: E402
from docs_site.picture import decision_picture  # noqa: E402
from docs_site.reference import reference_page  # noqa: E402


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and pictures that are made."""
    settings = Settings(database_url="postgresql+psycopg://x/y", redis_url="redis://x/0", log_level="ERROR")
    made = {
        "reference.md": reference_page(create_app(settings).openapi()),
        "assets/decision-rule.svg": decision_picture(),
        "decisions/index.md": _decisions(),
        "assets/icon.svg": (HERE.parent / "app" / "dashboard" / "static" / "icon.svg").read_text(encoding="utf-8"),
    }
    for name, content in made.items():
        files.append(File.generated(config, name, content=content))
    return files


def _decisions() -> str:
    lines = ["# Decisions", "", "Why things are as they are.", ""]
    for path in sorted((HERE / "decisions").glob("0*.md")):
        title = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        lines.append(f"- [{title}]({path.name})")
    return "\n".join(lines) + "\n"
