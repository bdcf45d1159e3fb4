"""Prices and beds of Skarn Hut."""

from dataclasses import dataclass
from datetime import date

BEDS = 34
PRICE = 38
MEMBER_PRICE = 22
DOG_FEE = 5


class HutFull(Exception):
    """Raised when a night has fewer free beds than guests."""


@dataclass
class Booking:
    name: str
    night: date
    guests: int
    members: int = 0
    dogs: int = 0


def price(booking: Booking) -> int:
    """Return the price of one night in crowns."""
    others = booking.guests - booking.members
    return others * PRICE + booking.members * MEMBER_PRICE + booking.dogs * DOG_FEE


def free_beds(bookings: list[Booking], night: date) -> int:
    """Count the beds that are still free on a night."""
    return BEDS - sum(b.guests for b in bookings if b.night == night)


def reserve(bookings: list[Booking], new: Booking) -> None:
    """Add a booking, or raise HutFull when the beds do not suffice."""
    if new.guests > free_beds(bookings, new.night):
        raise HutFull(f"no beds left for {new.name} on {new.night}")
    bookings.append(new)
