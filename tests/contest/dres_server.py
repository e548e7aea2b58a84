"""A DRES server made from DRES's own OpenAPI document and served by uvicorn: what the contest room is tested against.

Every request is checked against the document (path, method, parameters, body), and so is every answer. Whatever the client
does that the document does not allow lands in `mistakes`. `faults` make one operation fail, stall or talk nonsense.
`python -m tests.contest.dres_server` serves one to rehearse with.
"""

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import uvicorn
from jsonschema_rs import Draft202012Validator

DOCUMENT = json.loads((Path(__file__).parent / "data" / "dres-oas-client.json").read_text(encoding="utf-8"))
RUN = {
    "id": "run-1",
    "name": "Demo run",
    "type": "SYNCHRONOUS",
    "status": "ACTIVE",
    "templateId": "template-1",
    "teams": ["khung"],
    "taskTemplates": [{"name": "kis-1", "taskGroup": "KIS", "taskType": "Textual KIS", "duration": 300}],
}


@dataclass
class Fault:
    """What happens to an operation instead of its answer."""

    status: int = 0
    description: str = "No."
    raw: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    after_s: float = 0.0


@dataclass(frozen=True)
class Operation:
    method: str
    template: str
    document: dict[str, Any]

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(self.template)))

    @property
    def id(self) -> str:
        return self.document["operationId"]

    @property
    def query(self) -> dict[str, bool]:
        """Name → whether it is required."""
        parameters = self.document.get("parameters", [])
        return {p["name"]: bool(p.get("required")) for p in parameters if p["in"] == "query"}

    def body_schema(self) -> dict[str, Any] | None:
        return self.document.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")

    def reply_schema(self, status: int) -> dict[str, Any] | None:
        content = self.document["responses"].get(str(status), {}).get("content", {})
        return content.get("application/json", {}).get("schema")


OPERATIONS = [
    Operation(method.upper(), template, document)
    for template, methods in DOCUMENT["paths"].items()
    for method, document in methods.items()
]


def described_errors(operation_id: str) -> list[int]:
    """The error codes that the document gives an operation."""
    document = next(o.document for o in OPERATIONS if o.id == operation_id)
    return sorted(int(status) for status in document["responses"] if int(status) >= 400)


def complaints(schema: dict[str, Any], value: Any) -> list[str]:
    """Why the value does not fit a schema of the document; empty when it fits."""
    components = _json_schema(DOCUMENT["components"])
    validator = Draft202012Validator(_json_schema(schema) | {"components": components})
    return [str(error.message) for error in validator.iter_errors(value)]


def _json_schema(node: Any) -> Any:
    """OpenAPI 3.0's dialect as JSON Schema: only `nullable` differs in this document."""
    if isinstance(node, list):
        return [_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    plain = {name: _json_schema(value) for name, value in node.items() if name != "nullable"}
    return plain | {"type": [node["type"], "null"]} if node.get("nullable") is True else plain


class Refusal(Exception):
    def __init__(self, status: int, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.description = description


class DresServer:
    """One team's contest. Tests set the fields; `reset` puts them back."""

    def __init__(self) -> None:
        self.address = ""
        self.reset()

    def reset(self) -> None:
        self.users = {"thi": "bí mật", "lan": "cũng bí mật"}
        self.sessions: dict[str, str] = {}
        self.items: Container[str] = {"L21_V001", "L21_V002", "00042"}
        self.task: dict[str, Any] | None = dict(RUN["taskTemplates"][0])
        self.task_id = "task-1"
        self.elapsed_s = 60
        self.participants_see_state = True
        self.optional_fields: dict[str, Any] = {}  # added to the state, as newer servers do
        self.verdicts: list[str] = []
        self.submissions: list[tuple[str, dict[str, Any]]] = []
        self.logs: list[tuple[str, dict[str, Any]]] = []
        self.calls: list[str] = []
        self.cookies: set[str] = set()  # operations that were asked with a cookie
        self.faults: dict[str, Fault] = {}
        self.mistakes: list[str] = []

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message["more_body"]:
                break
        status, raw, headers = await self._answer(scope, body)
        pairs = [(b"content-type", b"application/json"), *((k.encode(), v.encode()) for k, v in headers.items())]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": raw})

    async def _answer(self, scope: dict[str, Any], body: bytes) -> tuple[int, bytes, dict[str, str]]:
        found = self._operation(scope)
        if found is None:
            self.mistakes.append(f"{scope['method']} {scope['path']} is not in the document")
            return 404, b"{}", {}
        operation, path = found
        self.calls.append(operation.id)
        fault = self.faults.get(operation.id)
        try:
            query, value = self._checked(operation, scope, body)
            if fault:
                await asyncio.sleep(fault.after_s)
                if self.faults.get(operation.id) is not fault:
                    raise Refusal(500, "The test that asked this is over.")
                if fault.raw is not None:
                    return fault.status or 200, fault.raw, fault.headers
                if fault.status:
                    raise Refusal(fault.status, fault.description)
            status, payload, headers = getattr(self, "_" + operation.id)(path, query, value)
        except Refusal as refusal:
            status, payload, headers = refusal.status, {"status": False, "description": refusal.description}, {}
            headers |= fault.headers if fault else {}
        schema = operation.reply_schema(status)
        if schema and not self.optional_fields:
            self.mistakes += [f"the test server's own answer: {c}" for c in complaints(schema, payload)]
        return status, json.dumps(payload).encode(), headers

    def _operation(self, scope: dict[str, Any]) -> tuple[Operation, dict[str, str]] | None:
        path = scope["raw_path"].decode()
        for operation in OPERATIONS:
            match = operation.pattern.fullmatch(path)
            if match and operation.method == scope["method"]:
                return operation, {name: unquote(value) for name, value in match.groupdict().items()}
        return None

    def _checked(self, operation: Operation, scope: dict[str, Any], body: bytes) -> tuple[dict[str, str], Any]:
        """The query and the body, if the document allows them; the session is put into the query."""
        query = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
        wrong = [f"query parameter {name} is not declared" for name in query if name not in operation.query]
        wrong += [
            f"query parameter {n} is missing" for n, needed in operation.query.items() if needed and n not in query
        ]
        value, schema = None, operation.body_schema()
        if schema:
            value = json.loads(body)
            wrong += complaints(schema, value)
        elif body:
            wrong.append("a body that the document does not know")
        if wrong:
            self.mistakes += [f"{operation.id}: {complaint}" for complaint in wrong]
            raise Refusal(400, "; ".join(wrong))
        if self._cookie(scope):
            self.cookies.add(operation.id)
        if "session" not in operation.query:
            query["session"] = self._cookie(scope)
        return query, value

    @staticmethod
    def _cookie(scope: dict[str, Any]) -> str:
        cookies = dict(scope["headers"]).get(b"cookie", b"").decode()
        return dict(part.strip().partition("=")[::2] for part in cookies.split(";")).get("SESSIONID", "")

    def _user(self, query: dict[str, str]) -> str:
        if query.get("session") not in self.sessions:
            raise Refusal(401, "Unauthorized request!")
        return self.sessions[query["session"]]

    def _run(self, path: dict[str, str], query: dict[str, str]) -> None:
        self._user(query)
        if path["evaluationId"] != RUN["id"]:
            raise Refusal(404, f"Evaluation {path['evaluationId']} not found.")

    # one method an operation, named after it

    def _postApiV2Login(self, path: Any, query: Any, body: Any) -> Any:
        if self.users.get(body["username"]) != body["password"]:
            raise Refusal(401, "Invalid credentials. Please try again!")
        session = f"session-{len(self.sessions) + 1}"
        self.sessions[session] = body["username"]
        user = {"id": "u1", "username": body["username"], "role": "PARTICIPANT", "sessionId": session}
        return 200, user, {"set-cookie": f"SESSIONID={session}"}

    def _getApiV2Logout(self, path: Any, query: Any, body: Any) -> Any:
        if self.sessions.pop(query.get("session", ""), None) is None:
            raise Refusal(400, "You are currently not logged in.")
        return 200, {"status": True, "description": "Logged out"}, {}

    def _getApiV2User(self, path: Any, query: Any, body: Any) -> Any:
        return 200, {"id": "u1", "username": self._user(query), "role": "PARTICIPANT"}, {}

    def _getApiV2StatusTime(self, path: Any, query: Any, body: Any) -> Any:
        return 200, {"timeStamp": 1_800_000_000_000}, {}

    def _getApiV2ClientEvaluationList(self, path: Any, query: Any, body: Any) -> Any:
        self._user(query)
        return 200, [RUN], {}

    def _getApiV2ClientEvaluationCurrentTaskByEvaluationId(self, path: Any, query: Any, body: Any) -> Any:
        self._run(path, query)
        if self.task is None:
            raise Refusal(404, "Specified evaluation has no active task.")
        return 200, self.task, {}

    def _getApiV2EvaluationByEvaluationIdState(self, path: Any, query: Any, body: Any) -> Any:
        self._run(path, query)
        if not self.participants_see_state:
            raise Refusal(403, "Access Denied")
        state = {
            "evaluationId": RUN["id"],
            "evaluationStatus": "ACTIVE",
            "taskStatus": "RUNNING" if self.task else "NO_TASK",
            "timeLeft": self.task["duration"] - self.elapsed_s if self.task else 0,
            "timeElapsed": self.elapsed_s if self.task else 0,
        }
        return 200, state | ({"taskId": self.task_id} if self.task else {}) | self.optional_fields, {}

    def _postApiV2SubmitByEvaluationId(self, path: Any, query: Any, body: Any) -> Any:
        self._run(path, query)
        if self.task is None:
            raise Refusal(404, "There is currently no eligible evaluation with an active task.")
        for answer in body["answerSets"][0]["answers"]:
            if answer.get("mediaItemName", "00042") not in self.items:
                raise Refusal(404, f"Media item '{answer['mediaItemName']}' not found.")
        if any(body == known for _, known in self.submissions):
            raise Refusal(412, "Duplicate submission received.")
        self.submissions.append((path["evaluationId"], body))
        verdict = self.verdicts.pop(0) if self.verdicts else "CORRECT"
        words = {"CORRECT": "Submission correct!", "INDETERMINATE": "Submission received. Waiting for verdict!"}
        reply = {"status": True, "submission": verdict, "description": words.get(verdict, "Try again!")}
        return 202 if verdict == "INDETERMINATE" else 200, reply, {}

    def _postApiV2LogQueryByEvaluationId(self, path: Any, query: Any, body: Any) -> Any:
        return self._log("query", path, query, body)

    def _postApiV2LogResultByEvaluationId(self, path: Any, query: Any, body: Any) -> Any:
        return self._log("result", path, query, body)

    def _log(self, kind: str, path: Any, query: Any, body: Any) -> Any:
        self._user(query)
        self.logs.append((kind, body))
        return 200, {"status": True, "description": "Log received"}, {}

    @contextmanager
    def served(self, port: int = 0) -> Iterator[str]:
        """Serve on this machine (0: on a free port); gives the address."""
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            self.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            config = uvicorn.Config(
                self,
                http="h11",
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                timeout_graceful_shutdown=1,
            )
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
            thread.start()
            while not server.started and thread.is_alive():
                thread.join(0.01)
            yield self.address
            server.should_exit = True
            thread.join(10)


class _Everything:
    def __contains__(self, item: object) -> bool:
        return True


def rehearse(port: int) -> None:
    """One task of 300 s after the other; every item is known; verdicts take turns."""
    server, number = DresServer(), 0
    server.items = _Everything()
    with server.served(port) as address:
        print(f"KHUNG_CONTEST_SERVER={address}  user: thi  password: {server.users['thi']}   (Ctrl-C ends it)")
        while True:
            number += 1
            server.task, server.task_id = RUN["taskTemplates"][0] | {"name": f"kis-{number}"}, f"task-{number}"
            server.verdicts = ["WRONG", "INDETERMINATE", "UNDECIDABLE", "CORRECT"] * 25
            for elapsed_s in range(server.task["duration"]):
                server.elapsed_s = elapsed_s
                time.sleep(1)


if __name__ == "__main__":
    rehearse(8090)
