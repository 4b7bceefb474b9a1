"""The least that a Typer program can be with as many commands as imgpipe, and the same settings."""

import typer

COMMANDS = 15

app = typer.Typer(
    name="bare",
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def hello(name: str) -> None:
    """Say hello."""
    typer.echo(f"Hello {name}")


for number in range(COMMANDS):
    app.command(f"hello{number}")(hello)

if __name__ == "__main__":
    app()
