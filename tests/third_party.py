"""Real distributions of other people, written into a folder of `sys.path` as an installer would."""

from dataclasses import dataclass
from pathlib import Path

WORKING = """
import msgspec
from contextlib import asynccontextmanager
from failgate.plugin import *

class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    room: Size = Size("1MiB")
    wait: Annotated[Duration, Between("1s", "1h")] = Duration("5s")
    key: Secret | None = None

{body}

plugin = Plugin(name="{plugin}", config=Settings, open=open_plugin)
"""


@dataclass
class Distribution:
    """One distribution with one module of its own and one entry point."""

    site: Path
    name: str
    version: str = "1.0"
    module: str = "plugin = None\n"
    plugin: str = "thing"
    group: str = "failgate.plugins.v1"
    is_editable: bool = False

    @property
    def module_name(self) -> str:
        return self.name.replace("-", "_")

    @property
    def folder(self) -> Path:
        return self.site / f"{self.module_name}-{self.version}.dist-info"

    def write(self) -> None:
        self.folder.mkdir()
        (self.site / f"{self.module_name}.py").write_text(self.module)
        (self.folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {self.name}\nVersion: {self.version}\n")
        (self.folder / "entry_points.txt").write_text(f"[{self.group}]\n{self.plugin} = {self.module_name}:plugin\n")
        (self.folder / "INSTALLER").write_text("pip\n")
        files = [f"{self.folder.name}/{name}" for name in ("METADATA", "entry_points.txt", "INSTALLER", "RECORD")]
        if self.is_editable:
            (self.folder / "direct_url.json").write_text('{"url": "file:///src", "dir_info": {"editable": true}}')
        else:
            files += [f"{self.module_name}.py", f"__pycache__/{self.module_name}.cpython-311.pyc"]
        (self.folder / "RECORD").write_text("".join(f"{file},,\n" for file in files))


def working(site: Path, plugin: str, body: str, *, name: str | None = None) -> Distribution:
    """Write a plugin whose module declares `Settings` and `body`, which defines `open_plugin`."""
    module = "from typing import Annotated\n" + WORKING.replace("{body}", body).replace("{plugin}", plugin)
    distribution = Distribution(site, name or f"acme-{plugin}", "1.2.0", module, plugin)
    distribution.write()
    return distribution
