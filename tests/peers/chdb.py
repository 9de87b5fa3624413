"""A modern ClickHouse as a test part: the chdb library behind ClickHouse's own HTTP.

`python -m tests.peers.chdb PORT FOLDER` serves 127.0.0.1:PORT with its data in FOLDER until killed. Only chdb's
compiled module is loaded: the package around it wants data frame libraries that nothing here needs.
"""

from __future__ import annotations

import gzip
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.peers import places


def handler(connection: Any) -> type[BaseHTTPRequestHandler]:
    """What answers every POST with the result of its body."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Carry out the query of the URL with the body as its data, or the body; an error has status 500.

            Of the URL's other fields, parameters of the query and settings of formats are set.
            """
            asked = dict(parse_qsl(urlsplit(self.path).query))
            sql = asked.get("query", "") + "\n" + self._body().decode()
            try:
                connection.query(f"USE {asked.get('database', 'default')}", "TabSeparated")
                for name, value in asked.items():
                    if name.startswith(("param_", "input_format_", "date_time_input_")):
                        connection.query(f"SET {name} = '{value}'", "TabSeparated")
                status, answer = 200, connection.query(sql, "TabSeparated").bytes()
            except RuntimeError as error:
                status, answer = 500, str(error).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def _body(self) -> bytes:
            """All of it, of a told length or in chunks, unpacked."""
            if "Content-Length" in self.headers:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                return gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw
            found = b""
            while size := int(self.rfile.readline(), 16):
                found += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return found

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
