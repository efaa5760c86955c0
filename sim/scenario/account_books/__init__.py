"""A user's own accounts, row by row from a file, as the opening of a population.

    accounts: {file: book.csv, columns: {id: account, entry_price: avg_px}}

`sim.core.account_book` is what a scenario says; here `book_table` is how a file becomes text cells, `book_rows` what
the cells mean, and `opening` puts them together: the book, what is wrong with it, which rows cannot be at the start.
"""
