"""Turns: first come, first served, each told its place, and whoever is called away leaves the queue."""

from __future__ import annotations

import threading
import time

import pytest

from app.answering.turns import Turns
from engine.errors import Cancelled
from engine.events import CancelToken


def test_turns_come_in_the_order_in_which_they_were_asked_for_and_places_count_down() -> None:
    turns, order, places = Turns(), list[int](), dict[int, list[int]]()
    turns.acquire()
    threads = []
    for number in range(8):
        places[number] = []

        def work(number: int = number) -> None:
            turns.acquire(on_place=places[number].append)
            order.append(number)
            time.sleep(0.01)
            turns.release()

        threads.append(threading.Thread(target=work))
        threads[-1].start()
        while len(places[number]) < 1:
            time.sleep(0.001)
    turns.release()
    for thread in threads:
        thread.join(10)
    assert order == list(range(8))
    assert [said[0] for said in places.values()] == list(range(1, 9))
    assert all(said == sorted(set(said), reverse=True) for said in places.values())
    assert not turns.locked()


def test_who_is_called_away_while_waiting_leaves_and_the_next_moves_up() -> None:
    turns, token, failed, told = Turns(), CancelToken(), list[BaseException](), list[int]()
    turns.acquire()

    def wait() -> None:
        try:
            turns.acquire(token)
        except Cancelled as error:
            failed.append(error)

    first = threading.Thread(target=wait)
    first.start()
    while len(turns._queue) < 2:
        time.sleep(0.001)
    second = threading.Thread(target=lambda: turns.acquire(on_place=told.append))
    second.start()
    while not told:
        time.sleep(0.001)
    token.cancel()
    first.join(5)
    assert len(failed) == 1
    turns.release()
    second.join(5)
    assert told[0] == 2
    assert turns.locked()
    turns.release()


def test_a_failure_while_told_its_place_leaves_no_one_in_the_queue() -> None:
    turns = Turns()
    turns.acquire()
    with pytest.raises(ZeroDivisionError):
        turns.acquire(on_place=lambda before: 1 // 0)
    turns.release()
    turns.acquire()
    turns.release()
    assert not turns.locked()
