"""Exception handlers: every error becomes an answer in the format of the API that was called."""

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from api.errors import openai as openai
from api.errors import problems


def answer(path: str, error: Exception) -> JSONResponse:
    """The answer to an error of a request for this path."""
    problem = problems.as_problem(error)
    return openai.envelope(problem) if path.startswith(openai.PREFIX) else problem.answer()


def install(app: FastAPI) -> None:
    """Register the handlers of all known exceptions."""

    def handle(request: Request, error: Exception) -> JSONResponse:
        return answer(request.url.path, error)

    for kind in problems.KNOWN:
        app.add_exception_handler(kind, handle)
