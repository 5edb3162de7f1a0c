"""The JupyterLab server behind the browser tests, and a line of our own to its kernels."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.session import Session

PROJECT = Path(__file__).parent.parent.parent
FOLDERS = (
    "CNNWIDGETS_CACHE_DIR", "IPYTHONDIR", "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR",
    "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR",
)  # fmt: skip
QUIET = {"checkForUpdates": False, "fetchNews": "false", "doNotDisturbMode": True}


class Server:
    """A JupyterLab process with folders, settings and a token of its own; it knows nothing of who runs the tests.

    Args:
        folder: for everything that it writes; `root` in it holds the notebooks.
        python: whose JupyterLab it is, and whose kernel.
        tree: what kernels import before all that is installed; none tests what is installed itself.
    """

    def __init__(self, folder: Path, python: Path | str = sys.executable, tree: Path | None = PROJECT) -> None:
        self._python, self._tree = str(python), tree
        self.root, self.log, self.token = folder / "notebooks", folder / "server.log", secrets.token_hex(16)
        self.folders = {name: folder / name.lower() for name in FOLDERS}
        for path in (self.root, *self.folders.values()):
            path.mkdir()
        self._write_settings()
        self._process = self._start()
        self.url = self._wait_for_url(60)

    def _write_settings(self) -> None:
        settings = self.folders["JUPYTERLAB_SETTINGS_DIR"] / "@jupyterlab" / "apputils-extension"
        settings.mkdir(parents=True)
        (settings / "notification.jupyterlab-settings").write_text(json.dumps(QUIET), encoding="utf-8")

    def _start(self) -> subprocess.Popen[bytes]:
        command = [self._python, "-m", "jupyterlab", "--no-browser", "--expose-app-in-browser", "--allow-root"]
        options = ["--ip=127.0.0.1", "--port=0", f"--ServerApp.root_dir={self.root}"]
        own = {"JUPYTER_TOKEN": self.token, "PYTHONPATH": str(self._tree or "")}
        environment = os.environ | {name: str(path) for name, path in self.folders.items()} | own
        with self.log.open("wb") as log:
            streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            return subprocess.Popen(command + options, env=environment, start_new_session=True, **streams)

    def _wait_for_url(self, seconds: float) -> str:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._process.poll() is None:
            for file in self.folders["JUPYTER_RUNTIME_DIR"].glob("jpserver-*.json"):
                try:
                    self.url = json.loads(file.read_text(encoding="utf-8"))["url"]
                    self.request("GET", "api/status")
                    return self.url
                except (OSError, ValueError):  # half written, or not listening yet
                    continue
            time.sleep(0.1)
        self.stop()
        raise AssertionError(f"JupyterLab did not start; its last words:\n{self.last_words()}")

    @property
    def pid(self) -> int:
        """The server's process, for a look at its memory."""
        return self._process.pid

    def last_words(self, lines: int = 20) -> str:
        """The end of the server's log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def request(self, method: str, path: str) -> Any:
        """The answer of the server's REST interface."""
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(self.url + path, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or "null")

    def ask_kernel(self, kernel_id: str, code: str, expression: str, seconds: float) -> Any:
        """Run `code` in a kernel, past the page, and give the value of `expression`; literals only, else its `repr`."""
        content = {"code": code, "silent": True, "store_history": False, "allow_stdin": False,
                   "user_expressions": {"value": f"repr({expression})"}}  # fmt: skip
        with self._connected(self.folders["JUPYTER_RUNTIME_DIR"] / f"kernel-{kernel_id}.json") as (session, socket):
            asked = session.send(socket, "execute_request", content)["header"]["msg_id"]
            answer = receive(session, socket, asked, seconds)
        value = answer.get("user_expressions", {}).get("value", {})
        for reply in (answer, value):
            if reply.get("status") != "ok":
                raise AssertionError(f"in the kernel: {reply.get('ename')}: {reply.get('evalue')}")
        return literal(ast.literal_eval(value["data"]["text/plain"]))

    def knock(self) -> None:
        """Connect to every kernel's shell and ask for nothing but a sign of life."""
        for file in self.folders["JUPYTER_RUNTIME_DIR"].glob("kernel-*.json"):
            try:
                with self._connected(file) as (session, socket):
                    receive(session, socket, session.send(socket, "kernel_info_request", {})["header"]["msg_id"], 1)
            except (OSError, ValueError, AssertionError):  # half written, gone, or at work
                continue

    @contextlib.contextmanager
    def _connected(self, file: Path) -> Iterator[tuple[Session, zmq.Socket[bytes]]]:
        """A line to a kernel's shell.

        A plain socket and not `jupyter_client`'s client: beside playwright's event loop that one starts threads.
        """
        kernel = json.loads(file.read_text(encoding="utf-8"))
        session = Session(key=kernel["key"].encode(), signature_scheme=kernel["signature_scheme"])
        with zmq.Context.instance().socket(zmq.DEALER) as socket:
            socket.linger = 0
            socket.connect(f"tcp://{kernel['ip']}:{kernel['shell_port']}")
            yield session, socket

    def forget(self) -> None:
        """End all kernels and drop the settings that a test has changed, its theme for example."""
        for kernel in self.request("GET", "api/kernels"):
            self.request("DELETE", f"api/kernels/{kernel['id']}")
        shutil.rmtree(self.folders["JUPYTERLAB_SETTINGS_DIR"])
        self._write_settings()

    def stop(self) -> None:
        """End the server, which ends its kernels."""
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(20)


def receive(session: Session, socket: zmq.Socket[bytes], asked: str, seconds: float) -> dict[str, Any]:
    """The content of the answer to the message `asked`."""
    deadline = time.monotonic() + seconds
    while socket.poll(max(0.0, deadline - time.monotonic()) * 1000):
        _, message = session.recv(socket)
        if message and message["parent_header"].get("msg_id") == asked:
            return message["content"]
    raise AssertionError(f"the kernel did not answer within {seconds} s; is a cell running?")


def literal(text: str) -> Any:
    """The value that `text` writes out, or `text` itself where it writes none."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text
