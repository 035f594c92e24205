"""A history for each test."""

import pytest

from tests.history.books import Book


@pytest.fixture
def book(tmp_path):
    book = Book(tmp_path / "history.db")
    yield book
    book.connection.close()
