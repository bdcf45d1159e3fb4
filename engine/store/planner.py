"""Planner: whether restoring a prefix is worth it, by how fast restoring and computing went on this machine."""

from __future__ import annotations

import logging
import platform
from dataclasses import astuple, dataclass, replace

from engine.errors import StoreError
from engine.store.catalog import Catalog

log = logging.getLogger(__name__)

MARGIN = 1.25
"""How much longer restoring must look to take before it is passed over; both rates scatter."""
SHORT = 0.5
"""Seconds; restoring that is expected to take no longer is always done."""
PASSES = 8
"""Prefixes passed over before one is restored all the same, for the disk may be faster by now."""
NEWS = 0.2
"""Change of a rate that is worth a write."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What restoring and computing a prefix are expected to take; None where it was never measured."""

    restore_seconds: float | None
    compute_seconds: float | None
    restores: bool


@dataclass(frozen=True, slots=True)
class Pace:
    """What was done in how many seconds, each time counting half as much as the next."""

    amount: float = 0.0
    seconds: float = 0.0

    def then(self, amount: float, seconds: float) -> Pace:
        """With one more measurement."""
        return Pace(self.amount / 2 + amount, self.seconds / 2 + seconds)

    def expect(self, amount: float) -> float | None:
        """Seconds for so much; None where nothing was measured."""
        return amount * self.seconds / self.amount if self.amount else None


@dataclass(frozen=True, slots=True)
class Paces:
    """A namespace's bytes restored and tokens computed, and how often restoring was passed over since."""

    restored: Pace = Pace()
    computed: Pace = Pace()
    passed: int = 0

    def differs(self, other: Paces) -> bool:
        """Whether a plan by the other could be another."""
        return self.passed != other.passed or any(
            not mine or not theirs or abs(mine / theirs - 1) > NEWS
            for mine, theirs in (
                (self.restored.expect(1), other.restored.expect(1)),
                (self.computed.expect(1), other.computed.expect(1)),
            )
            if mine != theirs
        )


class Planner:
    """Remembers paces in the catalogue, per machine and namespace; without them it restores, and measures."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog, self._machine = catalog, platform.node()
        self._known: dict[str, Paces] = {}
        self._kept: dict[str, Paces] = {}

    def plan(self, namespace: str, tokens: int, size: int) -> Plan:
        """Whether to restore so many tokens and bytes."""
        paces = self._paces(namespace)
        restore, compute = paces.restored.expect(size), paces.computed.expect(tokens)
        slower = restore is not None and compute is not None and restore > max(SHORT, MARGIN * compute)
        restores = not slower or paces.passed >= PASSES
        if slower:
            self._keep(namespace, replace(paces, passed=0 if restores else paces.passed + 1))
        return Plan(restore, compute, restores)

    def restored(self, namespace: str, size: int, seconds: float) -> None:
        """So many bytes were restored."""
        paces = self._paces(namespace)
        self._keep(namespace, replace(paces, restored=paces.restored.then(size, seconds), passed=0))

    def computed(self, namespace: str, tokens: int, seconds: float) -> None:
        """So many tokens were computed."""
        paces = self._paces(namespace)
        self._keep(namespace, replace(paces, computed=paces.computed.then(tokens, seconds)))

    def _paces(self, namespace: str) -> Paces:
        if namespace not in self._known:
            self._known[namespace] = self._kept[namespace] = self._read(namespace)
        return self._known[namespace]

    def _read(self, namespace: str) -> Paces:
        try:
            found = self._catalog.paces(self._machine, namespace)
        except StoreError as error:
            log.warning("The session store does not know how fast it is: %s", error)
            found = None
        return Paces(Pace(*found["restored"]), Pace(*found["computed"]), found["passed"]) if found else Paces()

    def _keep(self, namespace: str, paces: Paces) -> None:
        """Remember them; in the catalogue only what is news there, for a transaction costs milliseconds."""
        self._known[namespace] = paces
        if not paces.differs(self._kept[namespace]):
            return
        self._kept[namespace] = paces
        record = {"restored": astuple(paces.restored), "computed": astuple(paces.computed), "passed": paces.passed}
        try:
            self._catalog.keep_paces(self._machine, namespace, record)
        except StoreError as error:
            log.warning("The session store could not note how fast it is: %s", error)
