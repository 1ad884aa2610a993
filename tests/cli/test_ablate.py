"""moa ablate lists what there is and names what it knows."""

import pytest
from typer.testing import CliRunner

from moa.cli import app
from moa.errors import UserError
from moa.jobs.writeup_claims import ABLATIONS


def test_the_command_lists_what_there_is_and_names_what_it_knows():
    listed = CliRunner().invoke(app, ["ablate", "--list"])
    assert listed.exit_code == 0 and all(name in listed.stdout for name in ABLATIONS)
    with pytest.raises(UserError, match="ablation 'nope' is unknown; choose one of: stages, "):
        CliRunner().invoke(app, ["ablate", "nope"], catch_exceptions=False)
