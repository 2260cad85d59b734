"""`python -m api` serves; `python -m api openapi` writes docs/openapi.json."""

import argparse
import os

from grpo.runtime.garbage import collection_paused

LAST_PORT = 65535


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m api", description=__doc__)
    parser.add_argument("command", nargs="?", choices=("serve", "openapi"), default="serve")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=_port, default=8000, help="0 takes a free one")
    arguments = parser.parse_args()
    # Imported here, not at the top: each process that runs rewards imports this file.
    with collection_paused():
        from api.app import assemble, create_app
        from api.docs.openapi import FILE, as_text
        from api.server import serve
        from grpo.runtime.direct_loopback import keep_loopback_direct
        from store.access.project_secrets import end_unless_readable
        from store.artifacts.factory import end_unless_usable
        from store.database.database import Database
        from store.database.start_check import end_unless_database_usable
        from store.settings import Settings
        from store.telemetry.logging import write_operator_log

    if arguments.command == "openapi":
        FILE.write_text(as_text(assemble()))
        return
    keep_loopback_direct(os.environ)
    write_operator_log()
    settings = Settings()  # pyright: ignore[reportCallIssue] - the environment fills it
    end_unless_usable(settings.artifacts_url)
    database = Database.of(settings)
    end_unless_database_usable(database)
    end_unless_readable(database, settings)
    database.close()
    proxies = settings.proxies
    serve(create_app(settings), host=arguments.host, port=arguments.port, trusted_proxies=proxies)


def _port(written: str) -> int:
    port = int(written)
    if not 0 <= port <= LAST_PORT:
        raise argparse.ArgumentTypeError(f"{port} is not a port: write 0 to {LAST_PORT}")
    return port


if __name__ == "__main__":
    main()
