"""Every error becomes an answer here, in the form of the surface that was asked."""

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from api.errors import openai as openai
from api.errors import problems


def answer(path: str, error: Exception) -> JSONResponse:
    """What the request for this path is told."""
    problem = problems.as_problem(error)
    return openai.envelope(problem) if path.startswith(openai.PREFIX) else problem.answer()


def install(app: FastAPI) -> None:
    """Teach the app the errors that it knows."""

    def handle(request: Request, error: Exception) -> JSONResponse:
        return answer(request.url.path, error)

    for kind in problems.KNOWN:
        app.add_exception_handler(kind, handle)
