"""Recorded calls: kept in files beside the tests, replayed without a network."""

from __future__ import annotations

from .cassette import Cassette, Mode, Tape, record_names
from .file import CassetteFile
from .file import read as read_cassette
from .matching import Matcher
from .place import FOLDER, cassette_path
from .record import Record
from .replay import answer

__all__ = [
    "FOLDER",
    "Cassette",
    "CassetteFile",
    "Matcher",
    "Mode",
    "Record",
    "Tape",
    "answer",
    "cassette_path",
    "read_cassette",
    "record_names",
]
