"""The `codetect` command."""

from codetect.cli.access import access
from codetect.cli.admin import administration
from codetect.cli.export import exports
from codetect.cli.feedback import feedback
from codetect.cli.models import models
from codetect.cli.results import results
from codetect.cli.root import app
from codetect.cli.studies import kept
from codetect.cli.submitting import submitting
from codetect.cli.watching import watching

for commands in (access, submitting, watching, results, exports, kept, administration):
    app.add_typer(commands)
app.add_typer(models, name="models")
app.add_typer(feedback, name="feedback")

__all__ = ["app"]
