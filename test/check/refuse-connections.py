"""refuse-connections.py: listens on a port of this machine and closes every connection; writes the number of the
port to the file port and what each connection asked to the file connections."""

import os
import socket

server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen(99)
with open("port.new", "w") as f:
    f.write(str(server.getsockname()[1]))
os.rename("port.new", "port")
while True:
    connection, _ = server.accept()
    connection.settimeout(0.2)
    try:
        asked = connection.recv(200)
    except OSError:
        asked = b""
    with open("connections", "a") as f:
        f.write(repr(asked) + "\n")
    connection.close()
