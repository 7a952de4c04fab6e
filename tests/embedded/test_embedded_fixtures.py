"""What the fixtures of every other test promise."""

import os

import psycopg
import pytest
from kombu import Connection
from redis import Redis

from app.embedded import ServerUrls
from app.embedded.postgres import plain_dsn


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_a_database_with_the_schema_and_no_rows_of_another(dsn: str, turn: int) -> None:
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)
        connection.execute("CREATE TABLE mine AS SELECT %s::int AS turn", [turn])
        assert connection.execute("SELECT turn FROM mine").fetchall() == [(turn,)]


@pytest.mark.skipif("VERDICTS_TEST_DATABASE_URL" in os.environ, reason="about the embedded Postgres")
def test_the_embedded_role_is_no_superuser_but_owns_its_database(empty_database_url: str) -> None:
    with psycopg.connect(plain_dsn(empty_database_url)) as connection:
        assert connection.execute("SELECT current_setting('is_superuser')").fetchone() == ("off",)
        connection.execute("CREATE EXTENSION btree_gist")
        assert connection.execute("SELECT 'É' ILIKE 'é'").fetchone() == (True,)


def test_an_empty_database_is_empty(empty_database_url: str) -> None:
    with psycopg.connect(plain_dsn(empty_database_url)) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_an_empty_redis(redis_url: str, turn: int) -> None:
    with Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("turn", turn)


def test_one_redis_url_serves_celery_too(redis_url: str) -> None:
    with Connection(redis_url) as connection, connection.SimpleQueue("doorbell") as queue:
        queue.put({"run": 7})
        message = queue.get(timeout=60)
        assert message.payload == {"run": 7}
        message.ack()


def test_urls_do_not_show_their_passwords(servers: ServerUrls) -> None:
    assert repr(servers) == "ServerUrls()"
