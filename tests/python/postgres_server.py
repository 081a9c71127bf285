"""A throw-away PostgreSQL server for tests, or the one that HANSA_TEST_POSTGRES_URL names."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path

SETTINGS = ["shared_buffers=256MB", "max_wal_size=4GB", "jit=off"]  # durability as it comes: a commit waits for the disk


def programs():
    """The folder of the newest installed version's programs; None without one."""
    installed = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    if installed:
        return max(installed, key=lambda folder: int(folder.parent.name))
    on_path = shutil.which("postgres")
    return Path(on_path).resolve().parent if on_path else None


@contextlib.contextmanager
def running():
    """Gives a function that makes a new database and returns its URL."""
    numbers = count(1)
    given = os.environ.get("HANSA_TEST_POSTGRES_URL")
    if given:
        server, options = given.rpartition("/")[0] if given.count("/") > 2 else given, {}
        tools = programs() or Path("/usr/bin")
        yield lambda: new_database(tools, server, f"hansa_python_{os.getpid()}_{next(numbers)}", options)
        return
    tools = programs()
    if tools is None:
        raise FileNotFoundError("no PostgreSQL server on this machine")
    folder = Path(tempfile.mkdtemp(prefix="hansa-postgres-"))
    options = {"cwd": folder}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
        options |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = folder / "data"
    initdb = [tools / "initdb", "-D", data, "-U", "hansa", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    subprocess.run(initdb, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **options)
    command = [tools / "postgres", "-D", data, "-k", folder, "-h", "127.0.0.1", "-p", str(port)]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            command + [part for setting in SETTINGS for part in ("-c", setting)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options,
        )
    try:
        wait_until_ready(tools, folder, port, process)
        server = f"postgres://hansa@127.0.0.1:{port}"
        yield lambda: new_database(tools, server, f"replay_{next(numbers)}", options)
    finally:
        process.send_signal(signal.SIGQUIT)  # at once: nobody needs the data again
        process.wait(60)
        shutil.rmtree(folder)


def wait_until_ready(tools, folder, port, process):
    ready = [tools / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
    deadline = time.monotonic() + 60
    while subprocess.run(ready, stdin=subprocess.DEVNULL).returncode != 0:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("PostgreSQL did not start:\n" + (folder / "log").read_text())
        time.sleep(0.1)


def new_database(tools, server, name, options):
    make = [tools / "psql", "-q", "-d", f"{server}/postgres", "-c", f"CREATE DATABASE {name}"]
    subprocess.run(make, check=True, stdin=subprocess.DEVNULL, **options)
    return f"{server}/{name}"
