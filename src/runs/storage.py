"""Where a study is kept: a file of the sweep, or a database that workers share."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from src.errors import UserError

# What people write, and SQLAlchemy's name for it with the driver that the extra `sweep` brings.
_DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
}


def open_storage(given: str | None, folder: Path) -> RDBStorage:
    """The storage that a URL names, or `study.db` in the sweep's folder.

    Raises:
        UserError: No URL, no driver, no server, or it lets nobody in; without the password.
    """
    if given is None:
        # Not as a URL, in which `?` and `#` of a folder's name would mean something.
        connect = partial(sqlite3.connect, folder / "study.db", check_same_thread=False)
        return RDBStorage("sqlite:///study.db", engine_kwargs={"creator": connect})
    try:
        url = make_url(given)
    except SQLAlchemyError:
        raise UserError(
            "sweep.storage is no URL: give sqlite:///FILE or"
            " postgresql://user:password@host/database (@ : / in a password as %40 %3A %2F)"
        ) from None
    url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
    with said_without_password(url):
        # Optuna fills `{…}` in; a password may have them.
        text = url.render_as_string(hide_password=False)
        text = text.replace("{", "{{").replace("}", "}}")
        # Trials take hours: no connection is held meanwhile, of which a server has a hundred.
        return RDBStorage(text, engine_kwargs={"poolclass": NullPool})


@contextmanager
def said_without_password(url: URL | None) -> Iterator[None]:
    """Turn what goes wrong with a database into one line that keeps its password to itself."""
    try:
        yield
    except (ModuleNotFoundError, NoSuchModuleError, ImportError) as error:
        cause = error.__cause__ or error
        missing = getattr(cause, "name", None) or str(cause)
        raise UserError(
            f"sweep.storage={_shown(url)}: no driver for it ({missing}); for PostgreSQL"
            " pip install 'psycopg[binary]', for others what SQLAlchemy asks for"
        ) from None
    except (SQLAlchemyError, StorageInternalError) as error:
        inner = error.__cause__ if isinstance(error, StorageInternalError) else error
        reason = str(getattr(inner, "orig", None) or inner or error)
        line = " ".join(reason.split())
        if url is not None and url.password:
            line = line.replace(str(url.password), "***")
        raise UserError(f"sweep.storage={_shown(url)}: {line}") from None


def _shown(url: URL | None) -> str:
    return "study.db" if url is None else url.render_as_string(hide_password=True)
