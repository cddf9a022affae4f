"""A receipt of a deleted workspace is a file of anybody's making until the log says otherwise."""

import pytest

from failgate.base.errors import BadInput
from failgate.workspaces.receipts import read_receipt

LEFT = '{"id": "x", "name": "acme", "closed_at": "", "state": "emptying", "receipt": null, "record": null}'


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"receipt": {}}', "\x00", LEFT.replace('"x"', "7")])
def test_what_is_no_receipt_is_refused_by_a_sentence(text: str) -> None:
    with pytest.raises(BadInput, match="This is no receipt"):
        read_receipt(text)


def test_a_file_of_before_the_end_is_no_receipt_yet() -> None:
    with pytest.raises(BadInput, match="was not emptied yet"):
        read_receipt(LEFT)
