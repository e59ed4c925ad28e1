#!/usr/bin/env python3
# A plugin that answers everything with nothing, and writes down what it was asked.
import os, socket, struct

sock = socket.socket(fileno=int(os.environ["NRI_PLUGIN_SOCKET"]))
log = open("@LOG@", "a", buffering=1)

def field(number, data):
    return bytes([number << 3 | 2, len(data)]) + data

def send(connection, stream, kind, data):
    frame = struct.pack(">IIBB", len(data), stream, kind, 0) + data
    sock.sendall(struct.pack(">II", connection, len(frame)) + frame)

def receive(count):
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise SystemExit
        data += more
    return data

def strings(data):
    """The fields of a message that have a length, as far as these are all that it begins with."""
    found = {}
    while data and data[0] & 7 == 2:
        size, width = data[1], 2
        if size & 0x80:
            size, width = size & 0x7F | data[2] << 7, 3
        found[data[0] >> 3] = data[width:width + size]
        data = data[width + size:]
    return found

send(2, 1, 1, field(1, b"nri.pkg.api.v1alpha1.Runtime") + field(2, b"RegisterPlugin"))
while True:
    connection, length = struct.unpack(">II", receive(8))
    frame = receive(length)
    size, stream, kind, _ = struct.unpack(">IIBB", frame[:10])
    if kind != 1:
        continue
    while len(frame) < size + 10:
        connection, length = struct.unpack(">II", receive(8))
        frame += receive(length)
    request = strings(frame[10:])
    method = request[2].decode()
    if method == "Configure":
        configuration = strings(request[3]).get(1, b"").decode()
        log.write(f"{os.environ['NRI_PLUGIN_NAME']} {os.environ['NRI_PLUGIN_IDX']} {configuration}\n")
    log.write(method + "\n")
    send(1, stream, 2, b"")
