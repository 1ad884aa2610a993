"""Run a command that must succeed, in the test's own process."""

from typer.testing import CliRunner

from moa.cli import app


def invoke(*words) -> str:
    """The standard output of ``moa`` with these arguments."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.stdout
