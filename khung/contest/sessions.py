"""Who is logged in at the contest's server. A browser holds a token of khung, never the server's session or the password.

Sessions stand in the team's file, so a restart of khung in the middle of a task logs nobody out.
"""

import asyncio
import hashlib
import secrets
import sqlite3
from dataclasses import dataclass

from khung.contest.dres import Dres
from khung.contest.team import Team
from khung.errors import ConfigError, ContestError, ContestLoginNeeded
from khung.settings import ContestSettings


@dataclass(frozen=True, slots=True)
class Seat:
    """One operator: name at the server, chosen evaluation (or empty), client."""

    username: str
    evaluation_id: str
    dres: Dres


class Sessions:
    """The operators of one khung at the one server of the settings. Used from one event loop."""

    def __init__(self, settings: ContestSettings, team: Team) -> None:
        if not settings.server:
            raise ConfigError("No contest server is set.", cure="Set KHUNG_CONTEST_SERVER=https://…")
        self._settings = settings
        self._team = team
        self._clients: dict[str, Dres] = {}

    async def login(self, username: str, password: str) -> tuple[str, Seat]:
        """Log in at the server; gives a new token for the browser. The only running evaluation is chosen at once."""
        dres = self._client()
        user = await dres.login(username, password)
        running = [run.id for run in await dres.evaluations() if run.status == "ACTIVE"]
        chosen = running[0] if len(running) == 1 else ""
        token = secrets.token_urlsafe(32)
        row = (_hash(token), self._settings.server, user.username or username, dres.session, chosen)
        await self._changed("INSERT INTO seats VALUES (?, ?, ?, ?, ?)", row)
        self._clients[_hash(token)] = dres
        return token, await self.seat(token)

    async def seat(self, token: str) -> Seat:
        """The operator of a browser. Raises ContestLoginNeeded when nobody is logged in under this token."""
        where = (_hash(token), self._settings.server)
        row = await self._changed("SELECT * FROM seats WHERE token_hash = ? AND server = ?", where)
        if row is None:
            error = ContestLoginNeeded("You are not logged in at the contest's server.", cure="Log in.")
            raise error.known_as("contest_login")
        dres = self._clients.get(where[0]) or self._client(row["session"])
        self._clients[where[0]] = dres
        return Seat(row["username"], row["evaluation_id"], dres)

    async def choose(self, token: str, evaluation_id: str) -> Seat:
        """Take part in this evaluation from now on."""
        await self.seat(token)
        await self._changed("UPDATE seats SET evaluation_id = ? WHERE token_hash = ?", (evaluation_id, _hash(token)))
        return await self.seat(token)

    async def logout(self, token: str) -> None:
        """Forget the operator, at the server too if it answers."""
        seat = await self.seat(token)
        await self._changed("DELETE FROM seats WHERE token_hash = ?", (_hash(token),))
        self._clients.pop(_hash(token), None)
        try:
            await seat.dres.logout()
        except ContestError:
            pass  # a session that is gone or a server that is down: here it is forgotten
        finally:
            await seat.dres.aclose()

    async def aclose(self) -> None:
        clients, self._clients = self._clients, {}
        await asyncio.gather(*(dres.aclose() for dres in clients.values()))

    async def _changed(self, sql: str, values: tuple[str, ...]) -> sqlite3.Row | None:
        """One statement, and the first row that it gives. In a thread: another process may hold the file for seconds."""

        def change() -> sqlite3.Row | None:
            with self._team.changing() as db:
                return db.execute(sql, values).fetchone()

        return await asyncio.to_thread(change)

    def _client(self, session: str = "") -> Dres:
        return Dres(self._settings.server, session=session, timeout_s=self._settings.timeout_s, seen=self._team)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
