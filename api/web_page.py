"""The web page: static files of web/."""

import mimetypes
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from starlette.staticfiles import StaticFiles

WEB = Path(__file__).parents[1] / "web"


def serve(app: FastAPI) -> None:
    """Add one route per file or folder: a mount at `/` would shadow the API's own paths."""
    mimetypes.add_type("text/javascript", ".js")  # independent of this machine's MIME table
    app.add_api_route("/", _file(WEB / "index.html"), include_in_schema=False)
    for entry in sorted(WEB.iterdir()):
        if entry.is_dir():
            app.mount(f"/{entry.name}", StaticFiles(directory=entry))
        else:
            app.add_api_route(f"/{entry.name}", _file(entry), include_in_schema=False)


def _file(path: Path):  # noqa: ANN202
    def answer() -> FileResponse:
        return FileResponse(path)

    return answer
