"""The barest door for webhooks: reads the body, writes a document like the gateway's, says 200. Nothing else.

One process, uvicorn with httptools and uvloop, PyMongo with majority and journalled writes: one write for each call.
"""

from __future__ import annotations

import datetime as dt
import os
import signal
import sys
import uuid
from pathlib import Path
from typing import Any

import bson
import uvicorn
from pymongo import AsyncMongoClient

ANSWER = b'{"status":"stored"}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(ANSWER)).encode())]


class Door:
    def __init__(self, mongo: str, model: dict[str, Any]) -> None:
        """`model` is a document of the gateway's; each call writes one like it."""
        self._mongo, self._model = mongo, model
        self._collection: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._collection is None:
            client: Any = AsyncMongoClient(self._mongo, w="majority", journal=True)
            self._collection = client["bare_door"]["webhooks"]
        body = bytearray()
        while True:
            message = await receive()
            body += message["body"]
            if not message.get("more_body"):
                break
        if body:
            own = {"_id": str(uuid.uuid4()), "received": dt.datetime.now(dt.UTC)}
            await self._collection.insert_one(self._model | own)
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": ANSWER})


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    port, mongo, model = sys.argv[1:]
    door = Door(mongo, bson.decode(Path(model).read_bytes()))
    uvicorn.run(
        door, port=int(port), log_level="error", http="httptools", loop="uvloop", access_log=False, lifespan="off"
    )
