# A person at a terminal: a shell with job control on a pty, what is typed, what is seen.
import fcntl, os, pty, re, select, signal, struct, sys, termios, time

WATCHDOG = 40

class Person:
    def __init__(self, shell=("bash", "--norc", "-i"), size=(30, 100)):
        env = dict(os.environ, PS1="PROMPT> ", TERM="xterm", INPUTRC="/dev/null")
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(shell[0], list(shell), env)
        self.seen = b""
        self.resize(*size)
        self.prompt()

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def types(self, text):
        os.write(self.fd, text if isinstance(text, bytes) else text.encode())

    def sees(self, pattern):
        """Waits for `pattern`; what came before it is forgotten and returned."""
        end = time.monotonic() + WATCHDOG
        while True:
            found = re.search(pattern.encode(), self.seen)
            if found:
                before, self.seen = self.seen[:found.end()], self.seen[found.end():]
                return before
            left = end - time.monotonic()
            if left <= 0 or not self.more(left):
                raise AssertionError(f"waited for {pattern!r}, saw {self.seen!r}")

    def more(self, seconds):
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            read = os.read(self.fd, 65536)
        except OSError:
            return False
        self.seen += read
        return bool(read)

    def prompt(self):
        return self.sees(r"PROMPT> ")

    def runs(self, line):
        """Types a line and waits for the prompt after it; gives what was shown, without the echo."""
        self.types(line + "\n")
        self.sees(r"\n")
        return self.prompt()

    def settings(self):
        return termios.tcgetattr(self.fd)

    def ends(self):
        os.close(self.fd)
        os.waitpid(self.pid, 0)

def wait_for(true, what):
    end = time.monotonic() + WATCHDOG
    while not true():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.01)

# Lines of a shell that begin with `C` run a command inside.
os.environ["PATH"] = os.environ["PATH"] + ":" + os.environ["COFFERDAM_BIN"]
C = "cofferdam run -- "
# And one whose output comes as it is.
R = "cofferdam run --quiet --output raw -- "
p = Person()
before = p.settings()
