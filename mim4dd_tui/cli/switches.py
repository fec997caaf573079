"""Commands as Typer has them, but switches, which take no value, are shown bare, and a help that cannot be written
is no bug."""

from __future__ import annotations

import sys
from typing import Any

from typer.core import TyperCommand, TyperGroup, TyperOption

from mim4dd_tui.cli.output import taking


def _bare(params: list[Any]) -> list[Any]:
    for param in params:
        if isinstance(param, TyperOption) and param.is_flag:
            param.metavar = ""
    return params


class Command(TyperCommand):
    """A command whose switches are shown bare."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters, ``--help`` among them."""
        return _bare(super().get_params(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Its help, on standard output."""
        with taking(sys.stdout):
            super().format_help(ctx, formatter)


class Commands(TyperGroup):
    """The same of the group."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters, ``--help`` among them."""
        return _bare(super().get_params(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Its help, on standard output."""
        with taking(sys.stdout):
            super().format_help(ctx, formatter)
