"""Unzips standard input as it comes, by its local headers alone, the way a reader does that cannot seek.

Prints one line per file: name, size, CRC-32. Accepts no data descriptors, since those leave a streaming reader to
guess where a file ends.
"""

import struct
import sys
import zlib

source = sys.stdin.buffer
while True:
    signature = source.read(4)
    if signature == b"PK\x01\x02":
        break
    assert signature == b"PK\x03\x04", f"no local header but {signature!r}"
    _, flags, method, _, _, crc, packed, plain, name_length, extra_length = struct.unpack("<5H3I2H", source.read(26))
    name = source.read(name_length).decode()
    extra = source.read(extra_length)
    assert flags == 1 << 11, f"{name}: flags {flags:#x}"
    assert method == 8, f"{name}: method {method}"
    if packed == 0xFFFFFFFF or plain == 0xFFFFFFFF:
        kind, length, plain, packed = struct.unpack("<2H2Q", extra)
        assert (kind, length) == (1, 16), f"{name}: extra field {kind}, {length} bytes"
    inflate, seen, size = zlib.decompressobj(-15), 0, 0
    while packed:
        block = source.read(min(packed, 1 << 20))
        assert block, f"{name}: ends too early"
        packed -= len(block)
        data = inflate.decompress(block)
        seen, size = zlib.crc32(data, seen), size + len(data)
    assert inflate.eof and not inflate.unused_data, f"{name}: the data does not end where the header says"
    assert (seen, size) == (crc, plain), f"{name}: {size} bytes with CRC {seen:#x}, not {plain} with {crc:#x}"
    print(name, size, crc)
