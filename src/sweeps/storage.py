"""The database of a study: opened at the start, waited for where it goes away in mid-search."""

import logging
import re
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy import event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.pool import NullPool

from src.atomic import atomic_write
from src.errors import UserError

log = logging.getLogger(__name__)

T = TypeVar("T")

# What people write, and SQLAlchemy's name for it with the driver that the extra `sweep` brings.
_DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
}
# Without them a host that answers nothing is waited for for minutes, and for one that answers no
# more, hours. Seconds, tcp_user_timeout in milliseconds; the same keys in the URL come first.
_LIBPQ = {
    "connect_timeout": "10",
    "tcp_user_timeout": "30000",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}
LOCK_SECONDS = 30  # a search's own locks are held for less than one
_LONGEST_PAUSE = 15.0
_SECRET = ("password", "passwd", "sslpassword")  # keys behind the `?` of a URL
# A standby after a failover, or a hosted server whose disk is full; its class is that of bugs.
_READ_ONLY = "25006"
_ADVICE = {
    "42501": "give its user the right to create and change tables there",  # insufficient privilege
    "55P03": "another session holds a lock in it; pg_locks tells which",  # lock not available
}


class StorageAwayError(UserError):
    """The database does not answer, or takes nothing now; it may later."""


class _Pool(NullPool):
    """Trials take hours: no connection is held meanwhile, of which a server has a hundred.

    Nor of a file: those that a pool leaves open Python 3.13 warns of.
    """


@event.listens_for(_Pool, "connect")
def _limit_waiting(connection: Any, _: Any) -> None:
    """Wait for no lock without end. Not an option of the connection, which poolers refuse."""
    if type(connection).__module__.startswith("psycopg"):
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
        connection.commit()


class Storage:
    """A study's database, and one folder's part in it.

    Args:
        given: URL, `sqlite:///FILE` or `postgresql://…`; None: `study.db` in the folder.
        folder: Sweep folder.
        patience: Seconds to wait for a database that goes away after it was opened.

    Attributes:
        optuna: What Optuna takes for `storage`.
        owner: Names the folder: the database may serve others, whose trials are not this one's.

    Raises:
        UserError: No URL, no driver, no server, or it lets nobody in; without the password.
    """

    optuna: RDBStorage

    def __init__(self, given: str | None, folder: Path, patience: float) -> None:
        self.folder, self.patience = folder, patience
        self._url = None if given is None else _parsed(given)
        with FileLock(folder / ".study.lock"):
            self.owner = _owner(folder)
            with self.errors():
                self.optuna = self._opened()

    def _opened(self) -> RDBStorage:
        if self._url is None:
            # Not as a URL, in which `?` and `#` of a folder's name would mean something.
            file = self.folder / "study.db"
            connect = partial(sqlite3.connect, file, check_same_thread=False)
            return RDBStorage(
                "sqlite:///study.db", engine_kwargs={"creator": connect, "poolclass": _Pool}
            )
        url = self._url.set(drivername=_DRIVERS.get(self._url.drivername, self._url.drivername))
        if url.get_driver_name() in ("psycopg", "psycopg2"):
            url = url.update_query_dict({**_LIBPQ, **url.query})
        # Optuna fills `{…}` in; a password may have them.
        full = url.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")
        return RDBStorage(full, engine_kwargs={"poolclass": _Pool})

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Be the only worker that looks for trials and takes some.

        Workers of one folder lock a file in it; those of other folders, on other machines for
        example, are kept out by PostgreSQL itself.
        """
        with FileLock(self.folder / ".study.lock"):
            engine = self.optuna.engine
            if engine.dialect.name != "postgresql":
                yield
                return
            with engine.connect() as connection:
                # Let go at the end of the transaction, or of a worker that was killed.
                connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('finecut study'))"))
                yield

    def patiently(self, work: Callable[[], T]) -> T:
        """Do what needs the database; wait for one that goes away, and then do it again.

        Raises:
            UserError: It did not come back in time, or what is wrong does not pass.
        """
        begin, pause = time.monotonic(), 0.5
        gone = False
        while True:
            try:
                with self.errors():
                    result = work()
            except StorageAwayError as error:
                left = begin + self.patience - time.monotonic()
                if left <= 0:
                    raise UserError(
                        f"{error}. It was tried for {self.patience:g} s (sweep.storage_timeout)."
                        f" What was trained is in {self.folder}: once the storage is back, the same"
                        " command records it without training it again"
                    ) from None
                if not gone:
                    log.warning(
                        "%s. Trying again for up to %g s (sweep.storage_timeout); nothing that was"
                        " trained is lost",
                        error,
                        self.patience,
                    )
                gone = True
                time.sleep(min(pause, left))
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                if gone:
                    log.warning("the storage is back after %.0f s", time.monotonic() - begin)
                return result

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what goes wrong with the database into one line that keeps its password to itself.

        Raises:
            StorageAwayError: It may pass by itself, or by someone who makes room or unlocks.
            UserError: It will not.
        """
        try:
            yield
        except (ModuleNotFoundError, NoSuchModuleError, ImportError) as error:
            cause = error.__cause__ or error
            missing = getattr(cause, "name", None) or str(cause)
            raise UserError(
                f"{self._shown()}: no driver for it ({missing}); for PostgreSQL"
                " pip install 'psycopg[binary]', for others what SQLAlchemy asks for"
            ) from None
        except (SQLAlchemyError, StorageInternalError) as error:
            inner = error.__cause__ if isinstance(error, StorageInternalError) else error
            kind = StorageAwayError if _may_pass(inner) else UserError
            raise kind(f"{self._shown()}: {self._reason(inner or error)}") from None
        except KeyError as error:
            # Optuna's word for what it does not find: rows that someone deleted.
            if error.args != ("Record does not exist.",):
                raise
            raise UserError(
                f"{self._shown()}: the study is no longer in it. What was trained is in"
                f" {self.folder}; the same command begins a new study"
            ) from None
        except RuntimeError as error:
            if "optuna storage upgrade" not in str(error):
                raise
            raise UserError(
                f"{self._shown()}: another version of Optuna made its tables; `optuna storage"
                " upgrade --storage URL` brings them up to this one's"
            ) from None

    def _reason(self, error: BaseException) -> str:
        original = getattr(error, "orig", None) or error
        diagnosis = getattr(original, "diag", None)
        said = getattr(diagnosis, "message_primary", None) or str(original)
        line = " ".join(said.split()).rstrip(".?")
        if self._url is not None:
            secrets = [self._url.password, *(self._url.query.get(key) for key in _SECRET)]
            for secret in filter(None, secrets):
                # As a word of its own: a password of one letter is no reason to mask each.
                line = re.sub(rf"(?<!\w){re.escape(str(secret))}(?!\w)", "***", line)
        advice = _ADVICE.get(getattr(original, "sqlstate", None) or "")
        return f"{line} ({advice})" if advice else line

    def _shown(self) -> str:
        if self._url is None:
            return str(self.folder / "study.db")
        query = {k: "***" if k in _SECRET else v for k, v in self._url.query.items()}
        url = self._url.set(query=query).render_as_string(hide_password=True)
        return f"sweep.storage={url.replace('%2A%2A%2A', '***')}"


def _may_pass(error: BaseException | None) -> bool:
    """Whether what a database said of one request need not hold for a later one."""
    if not isinstance(error, DBAPIError):
        return False
    if getattr(error.orig, "sqlstate", None) == _READ_ONLY or error.connection_invalidated:
        return True
    # A file that was removed is not away: SQLite makes a new one, which has no tables.
    removed = str(error.orig).startswith("no such table")
    return isinstance(error, OperationalError | InterfaceError) and not removed


def _parsed(given: str) -> URL:
    try:
        return make_url(given)
    except (SQLAlchemyError, ValueError):
        raise UserError(
            "sweep.storage is no URL: give sqlite:///FILE or"
            " postgresql://user:password@host/database (@ : / in a password as %40 %3A %2F)"
        ) from None


def _owner(folder: Path) -> str:
    """The name by which a database knows this folder; it moves with the folder."""
    path = folder / ".owner"
    if not path.is_file():
        atomic_write(path, uuid.uuid4().hex + "\n")
    return path.read_text().strip()
