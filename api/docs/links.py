"""OpenAPI links from a call's result to the calls that use it."""

import re
from typing import Any

from api.errors.openai import PREFIX

# An operation that creates something, its answer's status, and the path parameter with its id.
MADE = {
    "upload_file": ("201", "file"),
    "submit_job": ("201", "job"),
    "retry_job": ("201", "job"),
    "fork_job": ("201", "job"),
    "submit_sweep": ("201", "sweep"),
    "create_webhook": ("201", "webhook"),
    "create_key": ("201", "key"),
    "create_project": ("201", "project"),
    "create_openai_file": ("200", "file"),
    "create_fine_tuning_job": ("200", "job"),
}
PARAMETER = re.compile(r"{(\w+)(?::\w+)?}")


def add_links(document: dict[str, Any]) -> None:
    """Link each of `MADE` to every operation whose path takes that id and no other."""
    operations = {
        operation["operationId"]: (path, operation)
        for path, by_method in document["paths"].items()
        for operation in by_method.values()
    }
    for maker, (status, parameter) in MADE.items():
        made_at, making = operations[maker]
        making["responses"][status]["links"] = {
            name: {
                "operationId": name,
                "parameters": {parameter: "$response.body#/id"},
            }
            for name, (path, _) in operations.items()
            if PARAMETER.findall(path) == [parameter]
            and path.startswith(PREFIX) == made_at.startswith(PREFIX)
        }
