"""The least that FastAPI can answer: a peer of the service benchmark."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

app = FastAPI()


@app.post("/score")
async def score(document: dict[str, Any]) -> dict[str, Any]:
    """Return a constant."""
    return {"probability": 0.5}


@app.get("/health")
async def health() -> dict[str, str]:
    """Say that it answers."""
    return {"status": "ok"}
