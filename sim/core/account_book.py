"""What a scenario says of a file of accounts: `accounts: {file: book.csv}` in place of a number."""

from typing import Annotated, Any, Final, Literal, final

from pydantic import Discriminator, Field, Tag

from marginquake.sim.core.fields import Block, DataFile

FIELDS: Final = ("id", "side", "leverage", "collateral", "notional", "entry_price")
"""What a file may say of an account, by the product's names."""


@final
class BookColumns(Block):
    """Headers of the file, where they are not the product's own names; null: this column is not read."""

    id: str | None = Field("id", description="What you call the account; kept as text")
    side: str | None = Field("side", description="long or short (also buy, sell, b, s, +1, -1)")
    leverage: str | None = Field("leverage", description="Notional over collateral; sets initial margin")
    collateral: str | None = Field(
        "collateral", description="Money in the account, quote units, unrealised profit apart"
    )
    notional: str | None = Field("notional", description="Size of the position, quote units; negative = short")
    entry_price: str | None = Field("entry_price", description="Average price of the position, quote units")


@final
class AccountBook(Block):
    """Accounts of your own, a row each.  What a row lacks is drawn from the population's distributions."""

    file: DataFile = Field(description="CSV with a header line, or Parquet; relative to the scenario file")
    columns: BookColumns = Field(BookColumns(), description="Headers of the file by what they are")
    notional_at: Literal["entry_price", "start_price"] = Field(
        "entry_price", description="The price that `notional` is at; start_price is for exports at the present mark"
    )
    on_impossible: Literal["leave_out", "refuse"] = Field(
        "leave_out",
        description="A row that cannot be at the start (liquidated already, over the venue's brackets, less than a "
        "lot): leave it out and say so, or refuse the scenario",
    )
    sha256: str | None = Field(None, description="Of the file's content when it was read: another is refused")


def _number_or_book(value: Any) -> str:
    return "book" if isinstance(value, dict | AccountBook) else "number"


Accounts = Annotated[
    Annotated[int, Field(gt=0), Tag("number")] | Annotated[AccountBook, Tag("book")], Discriminator(_number_or_book)
]
"""How many accounts a population has: a number, or a file with a row for each."""
