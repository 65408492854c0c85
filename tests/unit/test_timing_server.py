"""What serves one piece of work after the other, in whole numbers by hand."""

from simulator.timing.server import Server


def test_what_is_ready_is_served_one_after_the_other():
    server = Server()
    assert [server.take(0, 5), server.take(0, 5), server.take(3, 5)] == [0, 5, 10]
    assert server.end == 15


def test_a_gap_is_filled_by_what_is_ready_in_time_and_fits():
    server = Server()
    assert server.take(10, 5) == 10, "idle until then"
    assert server.take(8, 3) == 15, "not enough time before"
    assert server.take(2, 6) == 2
    assert server.take(0, 2) == 8, "what is before the last one in a gap is lost"
    assert server.take(0, 1) == 18
    assert server.end == 19


def test_only_the_last_gap_is_remembered():
    server = Server()
    assert [server.take(10, 5), server.take(20, 5), server.take(0, 5)] == [10, 20, 15]


def test_time_before_the_last_pieces_does_not_count_the_gap():
    server = Server()
    assert [server.take(0, 10), server.take(30, 10)] == [0, 30]
    assert server.before(10) == 30
    assert server.before(15) == 5, "five of the first ten"
