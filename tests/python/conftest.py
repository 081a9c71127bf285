"""What the Python tests share: code generated from the protos, the oracle's folder on the path, the hub's binary."""

import os
import sys
from pathlib import Path

import postgres_server
import pytest
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[2]
STUBS = ROOT / "target" / "tests" / "python-stubs"


def generate_stubs():
    STUBS.mkdir(parents=True, exist_ok=True)
    protos = sorted(str(path) for path in (ROOT / "proto").glob("hansa/v1/*.proto"))
    well_known = Path(protoc.__file__).parent / "_proto"
    options = [f"-I{ROOT / 'proto'}", f"-I{well_known}", f"--python_out={STUBS}", f"--grpc_python_out={STUBS}"]
    if protoc.main(["protoc", *options, *protos]) != 0:
        raise RuntimeError("protoc refused the protos")


generate_stubs()
sys.path[:0] = [str(STUBS), str(ROOT / "tests" / "oracle"), str(ROOT / "tests" / "python")]


@pytest.fixture(scope="session")
def journey():
    """Data and terms of the real year."""
    folder = ROOT / "tests" / "fixtures" / "complete-journey"
    return folder / "complete-journey.csv.gz", folder / "journey-terms.toml"


@pytest.fixture(scope="session")
def hansa():
    """Path of the hub's binary; tests/run builds it and names it."""
    path = os.environ.get("HANSA_BIN")
    if not path:
        pytest.fail("HANSA_BIN does not name the hub's binary; run tests/run")
    return path


@pytest.fixture(scope="session")
def postgres():
    """Makes a new, empty database on each call and returns its URL."""
    if not os.environ.get("HANSA_TEST_POSTGRES_URL") and postgres_server.programs() is None:
        if os.environ.get("HANSA_REQUIRE_POSTGRES") == "1":
            pytest.fail("no PostgreSQL server on this machine")
        pytest.skip("no PostgreSQL server on this machine")
    with postgres_server.running() as new_database:
        yield new_database


@pytest.fixture(params=["sqlite", "postgres"])
def database(request, tmp_path):
    """URL of a new, empty database: each test runs on both kinds."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path / 'hub.sqlite'}"
    return request.getfixturevalue("postgres")()
