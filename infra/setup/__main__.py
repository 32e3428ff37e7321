"""Make the environments Kiban runs in: `python3 infra/setup [--tests] [--ray] [--peers]`. Needs only Python.

.bootstrap     the installer (uv), and the log of all it said
.venv          control and training: the rooms, Prefect, MLflow, torch
.venv-serve    serving: vLLM, which pins other versions
.venv-peers    what our search is measured against; only when asked for
.venv-gateways what our chat service is measured beside; only when asked for
.venv-clients  clients that our chat service is tried with; only when asked for
.venv-open-webui  a page of others that it is tried with; only when asked for
"""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

from environments import HOME, ROOT, Environment, Installer
from report import Refused, step

sys.path.insert(0, str(ROOT / "src"))

import browser
import records

from kiban.stack import machine

DISK_GIB = {"cpu": 12, "gpu": 24}
HERE = Path(__file__).parent


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--tests", action="store_true", help="also what the tests need")
    arguments.add_argument("--ray", action="store_true", help="also what ingesting on a Ray cluster needs")
    arguments.add_argument("--peers", action="store_true", help="also what our search is measured against")
    arguments.add_argument("--gateways", action="store_true", help="also what chat is measured beside")
    arguments.add_argument("--clients", action="store_true", help="also clients that chat is tried with")
    arguments.add_argument(
        "--open-webui", action="store_true", help="also Open WebUI, which chat is tried with"
    )
    options = arguments.parse_args()
    HOME.mkdir(exist_ok=True)
    try:
        with (HOME / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two terminals, one installation
            set_up(tests=options.tests, ray=options.ray or options.tests)
            for name in ("peers", "gateways", "clients"):
                if getattr(options, name):
                    set_up_beside(name)
            if options.open_webui:
                set_up_beside("open-webui", torch=True)
    except Refused as refused:
        sys.exit(f"\n{refused}")
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. Run it again: it continues.")


def set_up(*, tests: bool, ray: bool) -> None:
    """Make or refresh every environment. Raises Refused."""
    gpu = wants_gpu()
    serve, control = plan(gpu=gpu, torch="torch-cpu.txt", tests=tests, ray=ray)
    if not (serve.installed() and control.installed()):
        refuse_unfit_machine(gpu=gpu)
    uv = Installer()
    serve, control = plan(gpu=gpu, torch=choose_torch(uv, control, gpu=gpu), tests=tests, ray=ray)
    if serve.make(uv, recipe=[HERE / "records.py"], finish=finish_serving):
        serve.compile_in_background()
    if control.make(uv, recipe=[ROOT / "pyproject.toml"], finish=lambda made: install_kiban(uv, made)):
        control.compile_in_background()
    if tests:
        browser.provide(HOME / "setup.log")


def set_up_beside(name: str, *, torch: bool = False) -> None:
    """Make an environment of something that Kiban is put beside."""
    uv, folder, files = Installer(), ROOT / f".venv-{name}", (f"{name}.txt",)
    if torch:
        _, control = plan(gpu=False, torch="torch-cpu.txt", tests=False, ray=False)
        files = (*files, choose_torch(uv, control, gpu=False))
    beside = Environment(f"environment of the {name}", folder, files)
    beside.make(uv, recipe=[], finish=lambda made: None)


def plan(*, gpu: bool, torch: str, tests: bool, ray: bool) -> tuple[Environment, Environment]:
    """Return the serving and the control environment as they should be. Tests and Ray, once in, stay in."""
    serving = ("serve-gpu.txt",) if gpu else ("serve.txt", torch)
    serve = Environment("serving environment", ROOT / ".venv-serve", serving)
    control = Environment("control and training environment", ROOT / ".venv", ("control.txt", torch))
    for more, wanted in (("test.txt", tests), ("ray.txt", ray)):
        if wanted or more in control.installed():
            control = replace(control, files=(*control.files, more))
    return serve, control


def wants_gpu() -> bool:
    """Whether the settings ask for a GPU; by default, whether there is one."""
    file = ROOT / "kiban.toml"
    written = tomllib.loads(file.read_text()).get("device", "auto") if file.exists() else "auto"
    device = os.environ.get("KIBAN_DEVICE", written)
    return machine.uses_gpu(device)


def choose_torch(uv: Installer, control: Environment, *, gpu: bool) -> str:
    """Return the CPU build's list where there is no GPU and it can be had, else the ordinary one's."""
    if gpu:
        return "torch-cuda.txt"
    for known in ("torch-cpu.txt", "torch-cuda.txt"):
        if known in control.installed():
            return known
    cpu = ROOT / "infra" / "requirements" / "torch-cpu.txt"
    with step("looking for the CPU build of torch"):
        return cpu.name if uv.can_have(cpu) else "torch-cuda.txt"


def refuse_unfit_machine(*, gpu: bool) -> None:
    findings = [
        f for f in machine.examine(ROOT, gpu=gpu, disk_gib=DISK_GIB["gpu" if gpu else "cpu"]) if not f.ok
    ]
    for finding in findings:
        print(f"{finding.name}: {finding.detail}\n  Mend: {finding.mend}", file=sys.stderr)
    if any(finding.needed for finding in findings):
        raise Refused("This machine cannot run Kiban yet; the lines above say what is missing.")


def finish_serving(made: Environment) -> None:
    if "serve.txt" in made.files:
        records.mend(next(made.folder.glob("lib/python*/site-packages")))


def install_kiban(uv: Installer, made: Environment) -> None:
    uv("pip", "install", "--python", made.python, "--no-deps", "--no-build-isolation", "--editable", ROOT)


if __name__ == "__main__":
    main()
