"""A user's own accounts, row by row from a file, as the opening of a population.

    accounts: {file: book.csv, columns: {id: account, entry_price: avg_px}}

`book_block` is what a scenario says, `book_table` how a file becomes text cells, `book_rows` what the cells mean, and
`opening` puts them together: the book, what is wrong with it, and which rows cannot be at the start price.
"""

from marginquake.sim.scenario.account_books.book_block import AccountBook, Accounts

__all__ = ["AccountBook", "Accounts"]
