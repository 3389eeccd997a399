"""terminal.py COLUMNS [--stdout] COMMAND [ARGUMENT...]: runs a command whose standard error is a terminal of COLUMNS
columns, and prints what a user sees.

First "lines N": how many different lines were shown on the last row and erased again; then "widest N": the columns
of the widest of them; then the lines that stay on the screen. --stdout: standard output is the same terminal; without
this option it is discarded.
Exits with the command's status.
"""
import fcntl
import os
import struct
import subprocess
import sys
import termios

def read_all(fd):
    data = b""
    while True:
        try:
            block = os.read(fd, 65536)
        except OSError:  # the command has closed the terminal
            return data
        if not block:
            return data
        data += block

def show(data):
    """Interprets the output as a terminal does. Returns the erased lines and the lines that stay on the screen."""
    erased, screen, at = [], [""], 0
    text = data.decode()
    i = 0
    while i < len(text):
        if text.startswith("\033[K", i):
            if screen[-1][at:]:
                erased.append(screen[-1])
            screen[-1] = screen[-1][:at]
            i += 3
            continue
        c = text[i]
        i += 1
        if c == "\r":
            at = 0
        elif c == "\n":
            screen.append("")
            at = 0
        else:
            screen[-1] = screen[-1][:at] + c + screen[-1][at + 1:]
            at += 1
    return erased, screen

def main():
    columns, command = int(sys.argv[1]), sys.argv[2:]
    mixed = command[0] == "--stdout"
    if mixed:
        command = command[1:]
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = dict(os.environ, TERM="xterm")
    p = subprocess.Popen(command, stdout=theirs if mixed else subprocess.DEVNULL, stderr=theirs, env=env)
    os.close(theirs)
    erased, screen = show(read_all(ours))
    print("lines", len(dict.fromkeys(erased)))
    print("widest", max(map(len, erased), default=0))
    print("\n".join(screen).rstrip("\n"))
    return p.wait()

if __name__ == "__main__":
    sys.exit(main())
