"""`charon lab up|status|down|kubeconfig|build`: a real control plane and Mimir on this machine.

Reads: the command line. Gives: a testbed in a folder, or what is known of one. Never: stops a
cluster it did not start.
"""

import json
import os
import pathlib
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click
import rich.console
import rich.table

from charon_operator import errors, testbed
from charon_operator.testbed import bed, build, keeper, layout, parts, progress, state

Nodes = Sequence[testbed.Node | testbed.RealNode]
_MOST_NODES = 1000
# So many GPUs of a product in one node; the product becomes a label's value.
_GPU_NODE = re.compile(r"gpu:([1-9][0-9]?)x([A-Za-z0-9](?:[-A-Za-z0-9]{0,40}[A-Za-z0-9])?)")


def default_folder() -> pathlib.Path:
    """`$XDG_STATE_HOME/charon/lab`, or the same below `~/.local/state`."""
    base = os.environ.get("XDG_STATE_HOME") or pathlib.Path.home() / ".local" / "state"
    return pathlib.Path(base) / "charon" / "lab"


folder_option = click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=pathlib.Path),
    default=default_folder,
    show_default="~/.local/state/charon/lab",
    help="Everything of one testbed lies here; another folder is another testbed.",
)
output_option = click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True
)


def nodes_of(context: click.Context, parameter: click.Parameter, text: str) -> Nodes:
    """Fake nodes by their number, fake nodes with GPUs, `real`, or several with commas between."""
    found: list[testbed.Node | testbed.RealNode] = []
    for part in text.split(","):
        gpus = _GPU_NODE.fullmatch(part)
        if part == "real":
            found.append(testbed.RealNode())
        elif gpus:
            found.append(testbed.gpu_node(f"gpu-{len(found)}", gpus[2], int(gpus[1])))
        elif part.isdecimal() and int(part) <= _MOST_NODES:
            first = len(found)
            found += [testbed.Node(name=f"node-{first + i}") for i in range(int(part))]
        else:
            forms = f"a number up to {_MOST_NODES}, real, gpu:4xA100, or several, as 3,real"
            raise click.BadParameter(f"{part!r}: write {forms}")
    return found


@click.group()
def lab() -> None:
    """A real control plane and Mimir on this machine.

    \b
    charon lab up                      # stays until Ctrl-C
    charon lab up --detach             # stays until `charon lab down`
    export KUBECONFIG=$(charon lab kubeconfig)
    charon lab status -o json
    charon lab down
    """


@lab.command()
@folder_option
@click.option(
    "--provider",
    type=click.Choice([p.value for p in testbed.Provider]),
    default=testbed.Provider.MODULES.value,
    show_default=True,
    help="modules: built here; kubeconfig: an existing cluster; kind: in docker (not verified).",
)
@click.option(
    "--nodes",
    callback=nodes_of,
    default="1",
    show_default=True,
    metavar="NUMBER|gpu:4xA100|real",
    help="A number of fake ones; a fake one with GPUs; `real`: one that runs pods (Linux, root); "
    "or several, as `3,gpu:4xA100,real`.",
)
@click.option(
    "--kubeconfig",
    type=click.Path(exists=True, dir_okay=False, path_type=pathlib.Path),
    help="Of the existing cluster (--provider kubeconfig).",
)
@click.option("--mimir-url", help="Of an existing Mimir; none of our own is started then.")
@click.option("--tenant", default="charon", show_default=True, help="Tenant of Mimir.")
@click.option("--detach", is_flag=True, help="Return when it is up; `charon lab down` ends it.")
def up(folder: pathlib.Path, provider: str, nodes: Nodes, detach: bool, **rest: Any) -> None:
    """Start a testbed; the first time, build it.

    A folder that held a testbed before goes on with its data. If one runs there already, say so.

    \b
    charon lab up --nodes 3 --detach
    charon lab up --nodes 2,gpu:4xA100,gpu:8xT4
    charon lab up --nodes real --folder /tmp/real
    charon lab up --provider kubeconfig --kubeconfig ~/.kube/config --mimir-url http://127.0.0.1:9009
    """
    files = _files(folder)
    running = state.alive(files)
    if running:
        click.echo(f"Already up (process {running.owner_pid}).")
        _show_address(running)
        return
    wanted = testbed.Config(
        folder=files.folder,
        provider=testbed.Provider(provider),
        nodes=nodes,
        with_kwok=any(isinstance(node, testbed.Node) for node in nodes) or not nodes,
        **rest,
    )
    if detach:
        _up_detached(wanted)
    else:
        _up_here(wanted)


def _up_detached(wanted: testbed.Config) -> None:
    with progress.shown() as shows:
        testbed.prepare(wanted, shows)
        shows.begin("Starting the testbed", 1)
        owner = keeper.detach(wanted)
        shows.finish()
    _show_address(owner)
    click.echo("Stop it with `charon lab down`.")


def _up_here(wanted: testbed.Config) -> None:
    with progress.shown() as shows:
        running = testbed.start(wanted, progress=shows)
    with running:
        _show_address(state.alive(running.files))
        click.echo("Ctrl-C stops it.")
        keeper.hold(running, _change_printer())
        click.echo("Stopping…")


@lab.command()
@folder_option
@output_option
def status(folder: pathlib.Path, output: str) -> None:
    """Show the processes of a testbed; exit code 1 if none runs.

    \b
    charon lab status
    charon lab status -o json
    """
    files = _files(folder)
    running = state.alive(files)
    if output == "json":
        click.echo(json.dumps(_status_document(files, running), indent=2))
    elif running is None:
        click.echo(f"No testbed runs in {files.folder}: `charon lab up` starts one.")
    else:
        _show_address(running)
        _show_table([(p.name, p.pid, p.port, p.state, p.log) for p in running.processes])
    sys.exit(0 if running else 1)


@lab.command()
@folder_option
@click.option("--delete", is_flag=True, help="Delete its folder too: data, logs, keys.")
def down(folder: pathlib.Path, delete: bool) -> None:
    """Stop a testbed; its data stay for the next `up`.

    \b
    charon lab down
    charon lab down --delete    # data, logs and keys too
    """
    files = _files(folder)
    stopped = keeper.down(files)
    click.echo("Stopped." if stopped else f"No testbed runs in {files.folder}.")
    if delete:
        keeper.delete(files)
        click.echo(f"Deleted {files.folder}.")


@lab.command()
@folder_option
@click.option("--raw", is_flag=True, help="Print the file's content instead of its path.")
def kubeconfig(folder: pathlib.Path, raw: bool) -> None:
    """Print where the administrator's kubeconfig is.

    \b
    export KUBECONFIG=$(charon lab kubeconfig)
    """
    handle = testbed.attach(folder)
    click.echo(handle.kubeconfig.read_text() if raw else handle.kubeconfig)


@lab.command("build")
@click.option("--node", is_flag=True, help="Also kubelet and kube-proxy, for a real node.")
@output_option
def build_(node: bool, output: str) -> None:
    """Build the programs of the testbed into the cache, and say what each cost.

    \b
    charon lab build            # minutes the first time, a second afterwards
    charon lab build -o json
    charon lab build --node     # what `charon lab up --nodes real` needs besides
    """
    wanted = [*parts.ALL, *(parts.REAL_NODES if node else ())]
    with progress.shown() as shows:
        build.programs(wanted, shows=shows)
    costs = build.costs(wanted)
    if output == "json":
        click.echo(json.dumps([vars(cost) for cost in costs], indent=2))
        return
    table = rich.table.Table("part", "wall s", "cpu s", "packages", "build cache MB", "binary MB")
    for cost in costs:
        table.add_row(*(str(value) for value in vars(cost).values()))
    rich.console.Console().print(table)


def _files(folder: pathlib.Path) -> layout.Layout:
    return layout.Layout(folder.expanduser().resolve())


def _show_address(running: state.State | None) -> None:
    if running is None:
        raise errors.TestbedError("the testbed ended while it was being shown")
    address = running.address
    click.echo(f"kubeconfig  {address.kubeconfig}")
    click.echo(f"API server  {address.api_url}")
    if address.mimir_url:
        click.echo(f"Mimir       {address.mimir_url}/prometheus (X-Scope-OrgID: {address.tenant})")


def _status_document(files: layout.Layout, running: state.State | None) -> dict[str, Any]:
    if running is None:
        return {"folder": str(files.folder), "up": False, "processes": []}
    return {
        "folder": str(files.folder),
        "up": True,
        "owner": running.owner_pid,
        **vars(running.address),
        "processes": [{**vars(p), "state": p.state} for p in running.processes],
    }


def _show_table(rows: Sequence[tuple[str, int | None, int, str, str]]) -> None:
    table = rich.table.Table("process", "pid", "port", "state", "log")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    rich.console.Console(width=None if sys.stdout.isatty() else 200).print(table)


def _change_printer() -> Callable[[Sequence[bed.ProcessStatus]], None]:
    """Prints the whole table first, then one line for each process whose state changes."""
    before: dict[str, str] = {}

    def show(now: Sequence[bed.ProcessStatus]) -> None:
        if not before:
            _show_table([(p.name, p.pid, p.port, p.state, str(p.log)) for p in now])
        for entry in now:
            if before and before.get(entry.name) != entry.state:
                click.echo(f"{entry.name}: {entry.state} ({entry.log})")
            before[entry.name] = entry.state

    return show
