"""A program that asks and waits for answers, turned inside out: whoever answers takes the turns.

For libraries that insist on calling back. The program runs in a thread of its own, and only while its answerer waits for the next question, so
nothing happens at the same time and every run is the same.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, NamedTuple, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Conversation(Generic[Question, Answer]):
    """Runs `program(ask)` up to its first question, and with every `answer` to the next, which is None once it has returned its `result`.

    What the program raises is raised by the answer that led to it. A conversation that is dropped, or closed, ends the program: its `ask` raises.

    >>> talk = Conversation(lambda ask: ask("twice 2?") + ask("twice 3?"))
    >>> talk.question
    'twice 2?'
    >>> talk.answer(4)
    'twice 3?'
    >>> talk.answer(6)
    >>> talk.result
    10
    """

    question: Question | None
    result: Any = None

    def __init__(self, program: Callable[[Callable[[Question], Answer]], Any]):
        self._said: SimpleQueue[Any] = SimpleQueue()
        self._heard: SimpleQueue[Any] = SimpleQueue()
        # the thread knows the queues and not this object, which can therefore be dropped while the thread waits
        self._thread = threading.Thread(target=_run, args=(program, self._said, self._heard), name="mixtura-conversation", daemon=True)
        self.close = weakref.finalize(self, self._heard.put, _HANG_UP)
        self._thread.start()
        self._listen()

    def answer(self, answer: Answer) -> Question | None:
        """Answers the question, and waits for the next."""
        self._heard.put(answer)
        self._listen()
        return self.question

    def _listen(self) -> None:
        said = self._said.get()
        self.question = None
        if isinstance(said, _Failed):
            raise said.error
        if isinstance(said, _Returned):
            self.result = said.result
        else:
            self.question = said


class _HungUp(BaseException):
    """Nobody answers any more. Not an Exception, so that no program takes it for one of its own."""


class _Returned(NamedTuple):
    result: Any


class _Failed(NamedTuple):
    error: BaseException


_HANG_UP = object()


def _run(program: Callable[[Callable[[Any], Any]], Any], said: SimpleQueue[Any], heard: SimpleQueue[Any]) -> None:
    def ask(question: Any) -> Any:
        said.put(question)
        answer = heard.get()
        if answer is _HANG_UP:
            raise _HungUp
        return answer

    try:
        said.put(_Returned(program(ask)))
    except _HungUp:
        pass
    except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to the one who answers
        said.put(_Failed(error))
