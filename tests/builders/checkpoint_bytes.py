"""Small checkpoints of every format, byte by byte; no framework writes them."""

import io
import json
import pickle
import struct
import zipfile

import numpy as np

from bn_tb.events.masked_crc import masked_crc
from tests.builders import event_bytes as eb

TABLE_MAGIC = bytes.fromhex("57fb808b247547db")


def table(entries, kind=0):
    """Returns a sorted-string table of one block."""
    block = b"".join(
        eb.varint(0) + eb.varint(len(key)) + eb.varint(len(value)) + key + value
        for key, value in sorted(entries.items())
    )
    data = _block(block, kind)
    handle = eb.varint(0) + eb.varint(len(data) - 5)
    start = len(data)
    index_block = eb.varint(0) + eb.varint(1) + eb.varint(len(handle)) + b"\xff" + handle
    index = _block(index_block)
    footer = eb.varint(0) + eb.varint(0) + eb.varint(start) + eb.varint(len(index) - 5)
    return data + index + footer.ljust(40, b"\0") + TABLE_MAGIC


def _block(entries, kind=0):
    body = entries + struct.pack("<II", 0, 1) + bytes([kind])
    return body + struct.pack("<I", masked_crc(body))


def bundle(tensors, **changed):
    """Returns an index and its data file; `changed` replaces fields of every entry."""
    entries, data = {b"": eb.field(1, 1)}, b""
    for name, array in tensors.items():
        raw = np.asarray(array).astype("<f4").tobytes()
        dims = b"".join(eb.field(2, eb.field(1, size)) for size in np.shape(array))
        fields = {"dtype": 1, "shard": 0, "offset": len(data), "size": len(raw)} | changed
        entries[name.encode()] = (
            eb.field(1, fields["dtype"])
            + eb.field(2, changed.get("shape", dims))
            + eb.field(3, fields["shard"])
            + eb.field(4, fields["offset"])
            + eb.field(5, fields["size"])
        )
        data += raw
    return table(entries), data


def torch_zip(pickled, storages=(), compression=zipfile.ZIP_STORED):
    """Returns an archive as torch.save writes it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("a/data.pkl", pickled)
        for key, data in enumerate(storages):
            archive.writestr(f"a/data/{key}", data)
    return buffer.getvalue()


def torch_state(names, size=3):
    """Returns the pickle of a state_dict whose tensors have a storage each, of float32."""
    body = b"\x80\x02}("
    for key, name in enumerate(names):
        body += b"X" + struct.pack("<I", len(name)) + name.encode()
        body += b"ctorch._utils\n_rebuild_tensor_v2\n("
        body += b"(X\7\0\0\0storagectorch\nFloatStorage\n"
        body += b"X" + struct.pack("<I", len(str(key))) + str(key).encode() + b"X\3\0\0\0cpu"
        body += b"J" + struct.pack("<i", size) + b"tQK\0J" + struct.pack("<i", size)
        body += b"\x85K\1\x85\x89N" + b"tR"
    return body + b"u."


def torch_stream(pickled, keys=(), storages=()):
    """Returns a file as torch.save wrote it before 1.6."""
    start = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
    start += pickle.dumps({"little_endian": True}, 2) + pickled + pickle.dumps(list(keys), 2)
    return start + b"".join(struct.pack("<q", len(data) // 4) + data for data in storages)


def safetensors(tensors, metadata=None):
    """Returns a file as https://github.com/huggingface/safetensors#format describes it."""
    header, data = {"__metadata__": metadata} if metadata else {}, b""
    for name, (dtype, array) in tensors.items():
        raw = array.tobytes()
        offsets = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": offsets}
        data += raw
    return safetensors_of(json.dumps(header).encode(), data)


def safetensors_of(header, data=b""):
    """Returns a file with any header."""
    return len(header).to_bytes(8, "little") + header + data
