"""``avila doctor``: what this machine offers, what it lacks, and how to repair it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from diffusion.cli.app import app, reporting
from gpucore.doctor.examination import examine
from gpucore.doctor.report import AdapterReport, Report

__all__ = ["examine_machine"]

VERDICTS = {
    0: ("All is well.", "bold green"),
    1: ("It works, with problems.", "bold yellow"),
    2: ("Nothing here can compute.", "bold red"),
}


@app.command("doctor")
def examine_machine(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Show the GPUs and drivers, test that each adapter computes right, and say what to repair.

    Exit status 0: all is well. 1: it works, with problems, such as a software adapter only. 2:
    nothing here can compute.
    """
    with reporting(context):
        if json:
            report = examine()
            print(report.as_json())
        else:
            with Console(stderr=True).status("testing each adapter"):
                report = examine()
            print_report(report, Console())
    raise typer.Exit(report.status)


def print_report(report: Report, console: Console) -> None:
    """Print the report as tables."""
    console.print(report.machine.text, style="dim")
    engines = Table(title="Engines", title_justify="left", show_header=False, box=None)
    for engine in report.engines:
        engines.add_row(f"  {engine.name}", engine.state)
    console.print(engines)
    for adapter in report.adapters:
        console.print(_adapter_table(adapter))
    if not report.adapters:
        console.print("No adapters", style="bold")
    verdict, style = VERDICTS[report.status]
    console.print(f"\n{verdict}", style=style)
    for problem in report.problems:
        console.print(Text(f"{problem.what}:"), soft_wrap=True)
        console.print(Text(f"    {problem.fix}", style="cyan"), soft_wrap=True)


def _adapter_table(adapter: AdapterReport) -> Table:
    """Return an adapter's facts as a table, one in each row."""
    mark, colour = ("works", "green") if adapter.works else ("FAILS", "red")
    title = Text.assemble((adapter.title, "bold"), " ", (mark, colour))
    table = Table(title=title, title_justify="left", title_style="", show_header=False, box=None)
    for name, value in adapter.facts():
        table.add_row(Text(f"  {name}", style="dim"), Text(value))
    return table
