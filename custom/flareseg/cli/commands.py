"""Which subcommands there are, each imported only when it is called: PyTorch and NVFlare take seconds to import."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

COMMANDS = {
    "poc": "A federation on one machine, with NVFlare's POC mode.",
    "data": "Prepare and check data.",
    "site": "Run a site: ready to join, approved jobs, what left it.",
    "job": "Bundle, resume and watch jobs.",
    "compare": "Run each job with each seed on this machine, and print means and differences.",
    "simulate": "Run a job in one process, without NVFlare: the same numbers as poc run, in less time.",
    "experiment": "Run arms by data by seeds, each a small file of results, and report their differences.",
    "predict": "Segment images with a trained model: label maps, volumes, and a sign of quality.",
    "evaluate": "Score a model on a site's labelled images: numbers to hand on, a page and a table that stay.",
    "export": "Write a model as MONAI bundle, TorchScript or ONNX, with a card; all run without flareseg.",
    "report": "Write the report of a run or of federated statistics; with --site overlays and GIN samples of a site.",
    "settings": "List every key of task.yaml or site.yaml with its default and meaning.",
}
"""Name to meaning. The module of that name has a Typer ``app``: one command of the same name, or a group of others."""


class Commands(TyperGroup):
    """The group of :data:`COMMANDS`."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Give a command, before it was called only its name and meaning."""
        if cmd_name in self.commands or cmd_name not in COMMANDS:
            return self.commands.get(cmd_name)
        return TyperCommand(name=cmd_name, help=COMMANDS[cmd_name])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the command that is called."""
        name = args[0]
        if name in COMMANDS:
            group = typer.main.get_group(import_module(f"flareseg.cli.{name}").app)
            group.name, group.help = name, COMMANDS[name]
            self.commands[name] = group.commands.get(name, group)
        return super().resolve_command(ctx, args)
