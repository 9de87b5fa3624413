"""A modern ClickHouse as a test part: the chdb library behind ClickHouse's own HTTP.

`python -m tests.peers.chdb PORT FOLDER` serves 127.0.0.1:PORT with its data in FOLDER until killed. Only chdb's
compiled module is loaded: the package around it wants data frame libraries that nothing here needs.
"""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from tests.peers import places


def handler(connection: Any) -> type[BaseHTTPRequestHandler]:
    """What answers every POST with the result of its body."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Carry out the body; an error is told as a server tells it, with status 500."""
            sql = self.rfile.read(int(self.headers["Content-Length"])).decode()
            try:
                status, answer = 200, connection.query(sql, "TabSeparated").bytes()
            except RuntimeError as error:
                status, answer = 500, str(error).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing per request."""

    return Handler


def main() -> None:
    """Serve until killed."""
    sys.path.insert(0, str(places.CHDB))
    import _chdb

    connection = _chdb.connect(sys.argv[2])
    HTTPServer(("127.0.0.1", int(sys.argv[1])), handler(connection)).serve_forever()


if __name__ == "__main__":
    main()
