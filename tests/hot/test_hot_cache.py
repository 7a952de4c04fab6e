"""The cache: bounded by bytes, and nothing in it that is older than the last message about its subject."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from app.hot.cache import EVERYTHING, Answer, Cache

SIZE = 3000


def answer(body: bytes = b"x" * 1000) -> Answer:
    return Answer(200, [(b"etag", b'"t-br"'), (b"content-length", b"1000"), (b"vary", b"Accept-Encoding")], body)


def put(cache: Cache, path: str, subject: str) -> None:
    with cache.fill(subject) as fill:
        cache.put((path, ""), answer(), fill)


def test_an_answer_knows_its_state_and_the_headers_of_its_304() -> None:
    assert answer().etag == '"t"'
    assert [name for name, _ in answer().unchanged] == [b"etag", b"vary"]


def test_a_read_that_a_change_overtook_is_not_kept() -> None:
    for told in ("paper", EVERYTHING):
        cache = Cache(10 * SIZE)
        with cache.fill("paper") as fill:
            cache.forget(told)
            cache.put(("/p", ""), answer(), fill)
        assert cache.get(("/p", "")) is None
    cache = Cache(10 * SIZE)
    with cache.fill("paper") as fill:
        cache.forget("another")
        cache.put(("/p", ""), answer(), fill)
    assert cache.get(("/p", "")) is not None


def test_what_is_larger_than_the_cache_is_not_kept() -> None:
    cache = Cache(SIZE - 1)
    put(cache, "/p", "paper")
    assert (len(cache), cache.bytes) == (0, 0)


def test_who_watches_a_subject_is_told_once_it_changes() -> None:
    async def scene() -> None:
        cache = Cache(SIZE)
        with cache.watch("run") as waiter, cache.watch("run") as another, cache.watch("else") as not_told:
            cache.forget("run")
            assert waiter.done()
            assert another.done()
            assert not not_told.done()
            cache.forget(EVERYTHING)
            assert not_told.done()
        with cache.watch("run"):
            pass
        cache.forget("run")
        assert not cache._watchers

    asyncio.run(scene())


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["put", "get", "forget", "forget all"]), st.integers(0, 9)), min_size=1, max_size=60
)


@given(ACTIONS)
def test_it_holds_what_was_used_last_and_no_more_bytes_than_it_may(actions: list[tuple[str, int]]) -> None:
    cache, model = Cache(4 * SIZE), dict[int, str]()
    for action, number in actions:
        subject = f"s{number % 3}"
        if action == "put":
            put(cache, f"/{number}", subject)
            model.pop(number, None)
            model[number] = subject
            while len(model) > 4:
                del model[next(iter(model))]
        elif action == "get":
            assert (cache.get((f"/{number}", "")) is not None) == (number in model)
            if number in model:
                model[number] = model.pop(number)
        else:
            told = EVERYTHING if action == "forget all" else subject
            cache.forget(told)
            model = {n: s for n, s in model.items() if told not in {s, EVERYTHING}}
        assert len(cache) == len(model)
        assert cache.bytes == SIZE * len(model) <= 4 * SIZE
        assert sum(map(len, cache._keys.values())) == len(model)
