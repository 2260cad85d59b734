"""The bare app for comparison: FastAPI and SQLAlchemy as in their documentation.

Stores a job in one row and returns it; reads one by id, a page, and a curve's buckets; forwards
notifications of Postgres.  No keys, no log, no queue.

`python -m bench.api.bare DATABASE_URL PORT`
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

import psycopg
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict
from sqlalchemy import create_engine, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

CHANNEL = "bare"

# Like Duet's downsampling: the lowest and the highest value of each bucket of steps.
CURVE = text("""
    select width_bucket(step, 1, :num_steps + 1, :num_buckets) as bucket,
        min(array[(payload ->> :name)::float8, step]), max(array[(payload ->> :name)::float8, step])
    from records where job_id = :job and kind in ('metric', 'eval') and payload ? :name
    group by bucket order by bucket""")


class Base(DeclarativeBase):
    pass


class Job(Base):
    __tablename__ = "bare_jobs"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    name: Mapped[str]
    spec: Mapped[dict[str, Any]] = mapped_column(JSONB)
    status: Mapped[str] = mapped_column(default="queued")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class NewJob(BaseModel):
    name: str
    spec: dict[str, Any]


class JobView(NewJob):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    status: str
    created_at: datetime


def get_session(request: Request) -> Iterator[Session]:
    with request.app.state.sessions() as session:
        yield session


OneSession = Annotated[Session, Depends(get_session)]


def create_app(database_url: str) -> FastAPI:
    engine = create_engine(database_url, pool_size=40)
    Base.metadata.create_all(engine)
    watchers: set[asyncio.Queue[bytes]] = set()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        listening = asyncio.create_task(_fan_out(database_url, watchers))
        yield
        listening.cancel()

    app = FastAPI(lifespan=lifespan)
    app.state.sessions = sessionmaker(engine)

    @app.post("/jobs", status_code=201, response_model=JobView)
    def create_job(new: NewJob, session: OneSession) -> Job:
        job = Job(name=new.name, spec=new.spec)
        session.add(job)
        session.commit()
        return job

    @app.get("/jobs/{job_id}", response_model=JobView)
    def read_job(job_id: UUID, session: OneSession) -> Job:
        job = session.get(Job, job_id)
        if job is None:
            raise HTTPException(404)
        return job

    @app.get("/jobs/{job_id}/curve")
    def read_curve(
        job_id: UUID, name: str, num_steps: int, num_buckets: int, session: OneSession
    ) -> list[tuple[list[float], list[float]]]:
        asked = {"job": job_id, "name": name, "num_steps": num_steps, "num_buckets": num_buckets}
        return [(lowest, highest) for _, lowest, highest in session.execute(CURVE, asked)]

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(_events(watchers), media_type="text/event-stream")

    return app


async def _events(watchers: set[asyncio.Queue[bytes]]) -> AsyncIterator[bytes]:
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    watchers.add(queue)
    try:
        yield b": welcome\r\n\r\n"
        while True:
            yield await queue.get()
    finally:
        watchers.discard(queue)


async def _fan_out(database_url: str, watchers: set[asyncio.Queue[bytes]]) -> None:
    address = database_url.replace("+psycopg", "")
    async with await psycopg.AsyncConnection.connect(address, autocommit=True) as connection:
        await connection.execute(f"listen {CHANNEL}")
        async for notice in connection.notifies():
            event = notice.payload.encode()
            for queue in watchers:
                queue.put_nowait(event)


if __name__ == "__main__":
    uvicorn.run(create_app(sys.argv[1]), port=int(sys.argv[2]), access_log=False)
