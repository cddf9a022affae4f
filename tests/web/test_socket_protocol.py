"""What a socket says on the wire is what the library would say."""

import pytest
from websockets.frames import Frame, Opcode

from failgate.web.socket_protocol import text_frame


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536])
def test_a_text_frame_is_the_one_of_the_library(size):
    octets = b"x" * size
    assert text_frame(octets) == Frame(Opcode.TEXT, octets).serialize(mask=False)
