"""How lanes are shared out, for any number of them."""

from hypothesis import given
from hypothesis import strategies as st

from lendrail.submission.sending.shares import Shares

ANY = st.builds(Shares, st.integers(1, 256), st.floats(0.01, 1))


def test_thirty_two_lanes() -> None:
    shares = Shares(32, 0.5)
    assert (shares.most, shares.spare, shares.light) == (16, 4, 2)
    assert shares.cap(32, others=0) == 28
    assert shares.cap(32, others=2) == 26  # another with a rate limit
    assert shares.cap(32, others=16) == 16
    assert shares.cap(2, others=0) == 2


@given(ANY, st.integers(1, 256), st.integers(0, 300))
def test_a_cap_is_a_share_at_least_and_all_lanes_at_most(shares: Shares, limit: int, others: int) -> None:
    cap = shares.cap(limit, others)
    assert 1 <= cap <= max(limit, 1)
    assert cap >= shares.part(limit)
    assert others == 0 or cap <= max(shares.most, shares.lanes - shares.spare - others, 1)


@given(ANY, st.lists(st.integers(0, 5), min_size=1, max_size=300))
def test_whoever_asks_for_them_heavy_users_leave_the_spare_lanes(shares: Shares, asked: list[int]) -> None:
    """Credentials ask for lanes in any order and never give one back; who has none always finds one while light users
    are few.
    """
    under_way = [0] * 6
    for each in asked:
        free = shares.lanes - sum(under_way)
        if shares.may_start(under_way[each], shares.cap(shares.lanes, shares.most), free):
            under_way[each] += 1
        elif under_way[each] == 0:
            assert free == 0
    beyond = sum(max(0, count - shares.light) for count in under_way)
    assert beyond <= shares.lanes - shares.spare
    assert sum(under_way) <= shares.lanes


@given(ANY)
def test_one_alone_leaves_the_spare_lanes(shares: Shares) -> None:
    alone = 0
    while shares.may_start(alone, shares.cap(shares.lanes, 0), shares.lanes - alone):
        alone += 1
    assert alone == max(1, shares.lanes - shares.spare)
