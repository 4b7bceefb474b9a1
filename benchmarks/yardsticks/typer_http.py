"""The least that can read one result: Typer without rich, one GET with http.client, the JSON printed."""

import json
from http.client import HTTPConnection
from urllib.parse import urlencode, urlsplit

import typer

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)


@app.command()
def result(url: str, key: str) -> None:
    """Print the result of a picture."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    connection.request("GET", f"{parts.path}/result?{urlencode({'key': key})}")
    answer = connection.getresponse()
    typer.echo(json.dumps(json.loads(answer.read()), indent=2))


if __name__ == "__main__":
    app()
