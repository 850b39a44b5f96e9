"""An S3 server of moto's on 127.0.0.1 that counts, slows down and refuses requests on demand."""

import contextlib
import dataclasses
import logging
import threading
from collections.abc import Callable

BUCKET = "runs"
CODES = {403: "AccessDenied", 503: "SlowDown"}
SECRET = "wJalrXUtnFEMIK7MDENG"
OPTIONS = {"key": "AKIDEXAMPLE", "secret": SECRET}


@dataclasses.dataclass
class ObjectStore:
    """A running server.

    Attributes:
      endpoint: Its URL.
      requests: `METHOD /path?query` of each request so far.
      fault: Called with each request; returns a status to answer with, or 0 to serve it.
    """

    endpoint: str
    requests: list[str] = dataclasses.field(default_factory=list)
    fault: Callable[[str], int] = lambda request: 0

    @property
    def options(self):
        """What `--storage_options` takes."""
        return OPTIONS | {"endpoint_url": self.endpoint}

    def upload(self, folder, prefix):
        """Copies a folder of this machine; returns its URL."""
        import s3fs

        system = s3fs.S3FileSystem(**self.options, skip_instance_cache=True)
        if not system.exists(BUCKET):
            system.mkdir(BUCKET)
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            system.pipe(f"{BUCKET}/{prefix}/{path.relative_to(folder)}", path.read_bytes())
        return f"s3://{BUCKET}/{prefix}"

    def reads(self, part=""):
        """Returns the requests for the content of objects whose path has a part."""
        return [
            one
            for one in self.requests
            if one.startswith("GET") and "list-type" not in one and part in one
        ]

    def listings(self):
        """Returns the requests that list."""
        return [one for one in self.requests if "list-type" in one]


@contextlib.contextmanager
def serving():
    """Runs a server on a free port until the block ends."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    store = ObjectStore("")
    served = DomainDispatcherApplication(create_backend_app)

    def app(environ, start):
        query = environ.get("QUERY_STRING", "")
        request = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}" + f"?{query}" * bool(query)
        store.requests.append(request)
        if status := store.fault(request):
            code = CODES.get(status, "InternalError")
            start(f"{status} refused", [("Content-Type", "application/xml")])
            return [f"<Error><Code>{code}</Code><Message>try later</Message></Error>".encode()]
        return served(environ, start)

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
    server = make_server("127.0.0.1", 0, app, threaded=True)
    store.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        thread.join()
