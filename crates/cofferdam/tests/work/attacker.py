# Tries to change, make, remove and read guarded names without pause.
#
# usage: attacker.py once|always HIDDEN NAME...   in the workspace
#
# `once` makes each attempt a single time and tells how it went; `always` goes on until the file `stop` is
# there, tells each attempt that worked, and counts the rest in the file `count`.
import errno, os, sys

way, hidden, names = sys.argv[1], sys.argv[2], sys.argv[3:]
BAD = b"[core]\n\tfsmonitor = planted\n"


def written(path, flags):
    fd = os.open(path, flags, 0o644)
    os.write(fd, BAD)
    os.close(fd)


def fresh(name):
    """Another file, whose name may come and go."""
    written(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    return name


def read(path):
    with open(path, "rb") as file: file.read()


# What makes a name comes after what removes it, so that each works once where nothing is guarded.
ATTEMPTS = [
    ("open to write", lambda path: written(path, os.O_WRONLY)),
    ("open to write and read", lambda path: written(path, os.O_RDWR)),
    ("append", lambda path: written(path, os.O_WRONLY | os.O_APPEND)),
    ("truncate by open", lambda path: written(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)),
    ("truncate", lambda path: os.truncate(path, 0)),
    ("chmod", lambda path: os.chmod(path, 0o777)),
    ("attribute", lambda path: os.setxattr(path, "user.planted", b"1")),
    ("second name", lambda path: os.link(path, "second")),
    ("rename over", lambda path: os.rename(fresh("planted"), path)),
    ("rename away", lambda path: os.rename(path, "away")),
    ("make", lambda path: written(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)),
    ("remove", lambda path: os.unlink(path)),
    ("link to", lambda path: os.symlink("planted", path)),
    ("remove the link", lambda path: os.unlink(path)),
    ("hard link", lambda path: os.link(fresh("planted"), path)),
    ("remove the name", lambda path: os.unlink(path)),
    ("directory", lambda path: os.mkdir(path)),
    ("remove the directory", lambda path: os.rmdir(path)),
    ("FIFO", lambda path: os.mkfifo(path)),
]
LOOKS = [("read", read), ("look", os.stat), ("ask", lambda path: os.access(path, os.F_OK) or os.stat(path))]
# An attempt on one name, said of it.
REASONS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.ENOENT, errno.EXDEV, errno.EEXIST,
           errno.ENOTDIR, errno.EINVAL, errno.EISDIR}


def attempt(name, what, act):
    """Whether it worked; a reason that nobody expects is told as well."""
    try:
        act(name)
        return True
    except OSError as error:
        if error.errno not in REASONS: print("UNEXPECTED %s %s: %s" % (what, name, error), flush=True)
        return False
    finally:
        for left in ("second", "away"):
            if os.path.lexists(left): os.unlink(left)


def once():
    for name in names:
        if name == hidden:
            for what, act in LOOKS: print("worked" if attempt(name, what, act) else "failed", what, name)
        for what, act in ATTEMPTS: print("worked" if attempt(name, what, act) else "failed", what, name)


def always():
    rounds = 0
    print("began", flush=True)
    while not os.path.exists("stop"):
        for name in names:
            for what, act in ATTEMPTS + (LOOKS if name == hidden else []):
                if attempt(name, what, act): print("WORKED %s %s" % (what, name), flush=True)
        # Beside it work goes on.
        written("beside", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.rename("beside", "count.new")
        with open("count.new", "w") as file: file.write(str(rounds))
        os.rename("count.new", "count")
        rounds += 1
    print("rounds", rounds)
    sys.exit(7)


once() if way == "once" else always()
