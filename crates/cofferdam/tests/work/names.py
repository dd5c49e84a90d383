# Random operations on names from a seed, each one exact system call, with what the kernel answered.
#
# usage: names.py SEED COUNT THREADS   in the directory whose tree may be changed
#
# Choices depend on the seed and on earlier answers alone, so two runs of a seed make the same calls up to
# the first answer that differs. What a sandbox answers differently by design is not asked for: setuid and setgid modes, device nodes and whiteouts, O_PATH,
# openat2 and io_uring (ENOSYS), names made or removed in /proc itself, ids that are not mapped.
import ctypes, errno, fcntl, os, random, stat, struct, sys, threading

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
NUMBERS = {
    "open": 2, "creat": 85, "openat": 257, "mkdir": 83, "mkdirat": 258, "mknod": 133, "mknodat": 259,
    "link": 86, "linkat": 265, "symlink": 88, "symlinkat": 266, "rename": 82, "renameat": 264,
    "renameat2": 316, "unlink": 87, "unlinkat": 263, "rmdir": 84, "truncate": 76, "ftruncate": 77,
    "chmod": 90, "fchmod": 91, "fchmodat": 268, "fchmodat2": 452, "setxattr": 188, "lsetxattr": 189,
    "fsetxattr": 190, "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199, "umask": 95,
    "chdir": 80, "fchdir": 81, "close": 3, "dup": 32, "write": 1, "access": 21, "faccessat": 269,
    "lchown": 94, "utimensat": 280, "fallocate": 285, "bind": 49, "connect": 42, "capset": 126,
    "unshare": 272,
}
AT_FDCWD, NOFOLLOW, FOLLOW, EMPTY, REMOVEDIR = -100, 0x100, 0x400, 0x1000, 0x200
CLONE_FS = 0x200
BAD_POINTER = 1

# One path passes at most 40 links, each one level up at most, and four names: it stays below the top.
DEPTH = 48
SLOTS = 6
NAMES = [b"a", b"b", b"c", b"d"] * 14 + [b"e", b"f"] * 5 + [
    b"x (deleted)", b"\xff\xfe", b"n\nl", "\u00e4".encode(), "a\u0308".encode(), b"A", b"...", b".x",
    b"l" * 255, b"l" * 256, b"loop", b"chain40", b"chain41", b" ", b"git~1",
]
MODES = [0o777, 0o755, 0o700] * 14 + [0o666, 0o644, 0o600] * 2 + [0o1777, 0o500, 0o400, 0o000, 0o755 | 0o10000]
XATTRS = [b"user.a", b"user.b"] * 5 + [ b"user." + b"n" * 249, b"user." + b"n" * 251, b"user.", b"bad", b""]


def steady(act):
    """An answer that the next mount elsewhere does not change: a walk that the kernel begins anew for one
    counts its links twice (ELOOP), and what fails so has done nothing."""
    for last in (False,) * 9 + (True,):
        try: return act()
        except OSError as error:
            if error.errno != errno.ELOOP or last: raise


class Slot:
    """A descriptor that an earlier operation may have opened."""
    def __init__(self, number): self.number = number
    def __repr__(self): return "fd[%d]" % self.number


class Joined:
    """A path through a descriptor, known when the call is made."""
    def __init__(self, before, slot, after): self.parts = before, slot, after
    def __repr__(self): return "%r+%r+%r" % self.parts


class Flags(int):
    def __repr__(self): return hex(self)


class Mode(int):
    def __repr__(self): return oct(self)


def acl(owner, group, other, mask=None):
    """A POSIX ACL as the kernel takes it, without ids."""
    entries = [(1, owner), (4, group)] + ([(16, mask)] if mask is not None else []) + [(32, other)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", tag, bits, 0xFFFFFFFF) for tag, bits in entries)


class Generator:
    def __init__(self, seed, top, fifos, alone):
        self.r, self.top, self.fifos, self.alone = random.Random(seed), top, fifos, alone

    def one(self, *choices): return self.r.choice(choices)
    def slot(self): return Slot(self.r.randrange(SLOTS))
    def mode(self): return Mode(self.noisy(self.r.choice(MODES)))

    def noisy(self, number):
        """Bits above an int's are none of it."""
        return number & 0xFFFFFFFF | 0x5A5A << 40 if self.r.random() < 0.03 else number

    def dirfd(self):
        if self.r.random() < 0.05: return self.one(0xFFFFFF9C, 999, -1)
        return AT_FDCWD if self.r.random() < 0.6 else Slot(self.r.randrange(2))

    def flags(self, *choices): return Flags(self.noisy(self.one(*choices)))

    def existing(self, base):
        """A path that is there, below a directory."""
        path = b""
        for _ in range(self.one(1, 1, 2, 3)):
            # The directories on the way to the tree are never named, so they stay.
            try: names = sorted(name for name in steady(lambda: os.listdir(base + b"/" + path)) if name != b"1")
            except OSError: break
            if not names: break
            path = path + b"/" + self.r.choice(names) if path else self.r.choice(names)
        return path

    def fresh(self, base=b"."):
        """A name that may be free, in a directory that is there."""
        if self.r.random() < 0.4: return self.path(base)
        path = self.existing(base)
        while path and not self.is_directory(base + b"/" + path): path = path.rpartition(b"/")[0]
        return path + b"/" + self.r.choice(NAMES) if path else self.r.choice(NAMES)

    def is_directory(self, path):
        try: return stat.S_ISDIR(steady(lambda: os.stat(path)).st_mode)
        except OSError: return False

    def at(self, path=None):
        """A directory and a path from there."""
        fd = self.dirfd()
        return fd, (path or self.path)(b"/proc/self/fd/%d" % self.number(fd) if isinstance(fd, Slot) else b".")

    def path(self, base=b"."):
        if self.r.random() < 0.45:
            path = self.existing(base)
            if path: return path
        if self.r.random() < 0.03:
            return self.one(None, BAD_POINTER, b"", b"", b"a/" + b"./" * 2100, b"./" * 2046 + b"a", b"./" * 2048)
        words = [self.r.choice(NAMES) for _ in range(self.one(1, 1, 1, 1, 2, 2, 2, 3, 4))]
        for at in range(len(words)):
            if self.r.random() < 0.05: words[at] = self.one(b".", b"..", b"")
        tail = self.one(*[b""] * 24, b"/", b"//", b"/.", b"/..") if len(words) < 4 else b""
        path = self.one(*[b"/"] * 9, b"//").join(words) + tail
        before = self.r.random()
        if before < 0.12: return self.top + b"/" + path
        # A thread that has its own cwd is not the one that /proc/self tells of.
        own = [b"/proc/self/cwd/", b"/proc/PID/cwd/"] if self.alone else []
        if before < 0.18: return self.one(b"/proc/thread-self/cwd/", *own) + path
        if before < 0.22: return Joined(b"/proc/self/fd/", self.slot(), b"/" + (path.lstrip(b"/.") or b"a"))
        return path.lstrip(b"/") or b"."

    def target(self):
        """Where a link leads: at most one level up, and nowhere above the top."""
        words = [self.r.choice(NAMES) for _ in range(self.one(1, 1, 2))]
        before = self.one(b"", b"", b"", b"../", b"./", self.top + b"/")
        return self.one(*[before + b"/".join(words)] * 20, b"", None, b"t" * 4096, b".", b"..")

    def fd_path(self):
        return Joined(b"/proc/%s/fd/" % self.one(b"self", b"thread-self"), self.slot(), b"")

    def opened(self):
        flags = self.one(0, *[1, 2] * 5, 3)
        for bit, chance in ((0x40, .7), (0x80, .1), (0x200, .2), (0x400, .2), (0x10000, .04), (0x20000, .15),
                            (0x80000, .5), (0x40000, .03), (0x1000, .03), (0x4000, .03)):
            if self.r.random() < chance: flags |= bit
        if self.r.random() < 0.08: flags = flags & ~0x40 | 0x410000
        # Whatever may be a FIFO is opened without waiting for its other end.
        if self.fifos or self.r.random() < 0.2: flags |= 0x800
        return Flags(self.noisy(flags))

    def operation(self):
        kinds = [(24, self.opens), (16, self.makes), (12, self.links), (12, self.renames), (10, self.removes),
                 (6, self.cuts), (9, self.attributes), (6, self.moves), (5, self.holds), (6, self.looks), (3, self.sockets)]
        return self.r.choices([kind for _, kind in kinds], [weight for weight, _ in kinds])[0]()

    def opens(self):
        # The first two hold directories, for the most part.
        if self.r.random() < 0.2: return "openat", (*self.at(), Flags(0x10000)), "opens", self.r.randrange(2)
        path = self.fd_path() if self.r.random() < 0.08 else self.path()
        name = self.one("open", "openat", "openat", "openat", "openat" if self.fifos else "creat")
        if name == "creat": return name, (path, self.mode()), "opens"
        return (name, (path, self.opened(), self.mode()), "opens") if name == "open" else \
            (name, (self.dirfd(), path, self.opened(), self.mode()), "opens")

    def makes(self):
        kind = self.one(0o010000, 0o010000, 0o100000, 0, 0o140000, 0o040000, 0o120000) if self.fifos else \
            self.one(0o100000, 0, 0o140000, 0o040000, 0o120000)
        # Its permissions are 16 bits wide, as are its kinds: no noise, or it is another kind.
        node = Mode(kind | self.r.choice(MODES) & 0o1777)
        return self.one(*[("mkdir", (self.fresh(), self.mode()))] * 5, *[("mkdirat", (*self.at(self.fresh), self.mode()))] * 5,
                        ("mknod", (self.fresh(), node, 0)), ("mknodat", (*self.at(self.fresh), node, 0)))

    def links(self):
        tmpfile = ("linkat", (AT_FDCWD, self.fd_path(), *self.at(self.fresh), Flags(FOLLOW)))
        empty = ("linkat", (self.slot(), b"", *self.at(self.fresh), Flags(EMPTY)))
        linkat = ("linkat", (*self.at(), *self.at(self.fresh), self.flags(0, 0, FOLLOW, EMPTY, NOFOLLOW)))
        return self.one(("link", (self.path(), self.fresh())), linkat, linkat, tmpfile, tmpfile, empty,
                        ("symlink", (self.target(), self.fresh())), ("symlinkat", (self.target(), *self.at(self.fresh))))

    def renames(self):
        two = (*self.at(), *self.at(self.fresh))
        return self.one(*[("rename", (self.path(), self.fresh()))] * 2, ("renameat", two),
                        ("renameat2", two + (self.flags(0, 1, 1, 2, 2, 3, 8),)), ("renameat2", two + (self.flags(0, 1, 2),)))

    def removes(self):
        def name(base=b"."):
            # A link of /proc itself is refused in two ways: /proc is read-only inside.
            path = self.path(base)
            words = [word for word in path.split(b"/") if word not in (b"", b".")] if isinstance(path, bytes) else []
            return name(base) if words[:1] == [b"proc"] and len(words) < 4 else path
        return self.one(("unlink", (name(),)), ("rmdir", (name(),)), ("rmdir", (name(),)),
                        ("unlinkat", (*self.at(name), self.flags(0, 0, REMOVEDIR, REMOVEDIR, 1))))

    def cuts(self):
        size = self.one(0, 0, 1, 100, 4097, -1, 1 << 62)
        return self.one(("truncate", (self.path(), size)), ("truncate", (self.path(), size)), ("truncate", (self.fd_path(), size)),
                        ("ftruncate", (self.slot(), size)), ("fallocate", (self.slot(), self.one(0, 1, 3), 0, self.one(1, 5000))))

    def attributes(self):
        path = self.fd_path() if self.r.random() < 0.1 else self.path()
        modes = [("chmod", (path, self.mode())), ("fchmod", (self.slot(), self.mode())), ("fchmodat", (*self.at(), self.mode())),
                 ("fchmodat2", (*self.at(), self.mode(), self.flags(0, NOFOLLOW, EMPTY, 7)))]
        # What is /proc's own is read-only inside.
        itself = self.path() if isinstance(path, Joined) else path
        name, value = self.r.choice(XATTRS), self.one(*[b"", b"v" * 10, b"w" * 300] * 4, b"z" * 70000)
        if self.r.random() < 0.3:
            name = self.one(b"system.posix_acl_default", b"system.posix_acl_default", b"system.posix_acl_access")
            value = self.one(acl(7, 0, 0), acl(7, 7, 0), acl(7, 5, 5), acl(7, 7, 7, 5), b"broken")
        rest = name, value, len(value), self.flags(*[0] * 6, 1, 2, 3)
        return self.one(*modes, ("setxattr", (path,) + rest), ("setxattr", (path,) + rest), ("lsetxattr", (itself,) + rest),
                        ("fsetxattr", (self.slot(),) + rest), ("removexattr", (path, name)), ("lremovexattr", (itself, name)),
                        ("fremovexattr", (self.slot(), name)), ("utimensat", (*self.at(), None, self.flags(0, NOFOLLOW))))

    def moves(self):
        return self.one(("chdir", (self.path(),), "moves"), ("chdir", (self.top,), "moves"), ("fchdir", (self.slot(),), "moves"),
                        ("umask", (Mode(self.one(*[0, 0o22, 0o22, 0o27, 0o77] * 5, 0o777)),)), ("getcwd", ()))

    def holds(self):
        return self.one(("close", (self.slot(),)), ("dup", (self.slot(),), "opens"), ("write", (self.slot(), b"written", 7)),
                        ("write", (self.slot(), b"w" * 5000, 5000)))

    def looks(self):
        path = self.fd_path() if self.r.random() < 0.1 else self.path()
        if self.r.random() < 0.5: path = self.path()
        return self.one(("stat", (path,)), ("lstat", (path,)), ("readlink", (path,)), ("access", (path, self.one(0, 1, 2, 4))),
                        ("faccessat", (*self.at(), self.one(0, 2, 7))))

    def sockets(self):
        path = self.path()
        path = path if isinstance(path, bytes) and len(path) < 108 else b"s"
        return self.one(("bind", (path,)), ("bind", (path,)), ("connect", (path,)))


class Driver:
    """Makes the calls of one thread and tells the answers."""
    def __init__(self, seed, top, fifos, alone):
        self.generator, self.top, self.alone = Generator(seed, top, fifos, alone), top, alone
        self.slots, self.lines = {}, []
        self.generator.number = self.number

    def number(self, slot):
        """Any that is open, where that one is not."""
        return self.slots.get(slot.number, self.slots[min(self.slots)] if self.slots else 998)

    def value(self, arg):
        if isinstance(arg, Slot): return ctypes.c_long(self.number(arg))
        if isinstance(arg, Joined): return ctypes.c_char_p(arg.parts[0] + b"%d" % self.number(arg.parts[1]) + arg.parts[2])
        if isinstance(arg, bytes): return ctypes.c_char_p(arg.replace(b"PID", b"%d" % os.getpid()))
        return ctypes.c_long(0 if arg is None else arg)

    def call(self, name, args):
        answer = libc.syscall(ctypes.c_long(NUMBERS[name]), *[self.value(arg) for arg in args])
        if answer < 0: raise OSError(ctypes.get_errno(), "")
        return answer

    def path_of(self, arg):
        if arg is None or isinstance(arg, int): return b""
        return self.value(arg).value

    def look(self, seen):
        kind = stat.S_IFMT(seen.st_mode)
        size = seen.st_size if kind in (stat.S_IFREG, stat.S_IFLNK) else "-"
        return "%o links %d size %s" % (seen.st_mode, seen.st_nlink, size)

    def answer(self, name, args, effect):
        if name in ("stat", "lstat"): return self.look(getattr(os, name)(self.path_of(args[0])))
        if name == "readlink": return self.hidden_numbers(os.readlink(self.path_of(args[0])))
        if name == "getcwd": return repr(os.getcwdb().removeprefix(self.generator.top))
        if name in ("bind", "connect"): return self.socket(name, args[0])
        answer = self.call(name, args)
        if effect == "opens":
            self.slots[self.into] = answer
            told = "fd %d " % answer if self.alone else ""
            # Whether the last name was not to be followed is nothing that a descriptor does later.
            flags = fcntl.fcntl(answer, fcntl.F_GETFL) & ~os.O_NOFOLLOW
            return told + "fd flags %x flags %x " % (fcntl.fcntl(answer, fcntl.F_GETFD), flags) + self.look(os.fstat(answer))
        return oct(answer)

    def hidden_numbers(self, link):
        """Numbers of inodes are not the same in two trees."""
        return repr(link.split(b"#")[0] if b"#" in link else link)

    def socket(self, name, path):
        if isinstance(path, bytes): path = path.replace(b"PID", b"%d" % os.getpid())
        family, address = 1, struct.pack("<H", 1) + path + b"\0"
        fd = libc.syscall(ctypes.c_long(41), family, 1 | 0x80000, 0)
        try:
            self.call(name, (fd, address, len(address)))
            with_name = ctypes.create_string_buffer(128)
            length = ctypes.c_int(128)
            libc.syscall(ctypes.c_long(51), fd, with_name, ctypes.byref(length))
            # By way of /proc it is named by a way that holds for the broker.
            return "named %r" % (with_name.raw[2:length.value] if isinstance(path, bytes) and not path.startswith(b"/proc") else b"")
        finally:
            os.close(fd)

    def stay_below(self):
        """Neither cwd nor descriptors leave the tree: a look at them, the same in both runs."""
        if not os.readlink(b"/proc/thread-self/cwd").startswith(self.top):
            os.chdir(self.top)
        for slot, fd in list(self.slots.items()):
            if not os.readlink(b"/proc/self/fd/%d" % fd).startswith(self.top):
                os.close(fd)
                del self.slots[slot]

    def step(self, number):
        name, args, *effect = self.generator.operation()
        self.into = effect.pop() if len(effect) > 1 else self.generator.r.randrange(2, SLOTS)
        if effect == ["opens"] and self.slots.get(self.into) is not None and not self.uses(args, self.into):
            os.close(self.slots.pop(self.into))
        elif effect == ["opens"]:
            self.into = next(n for n in range(SLOTS, 99) if n not in self.slots)
        closes = self.number(args[0]) if name == "close" else None
        try:
            said = steady(lambda: self.answer(name, args, effect[0] if effect else ""))
        except OSError as error:
            said = errno.errorcode.get(error.errno, str(error.errno))
        self.slots = {slot: fd for slot, fd in self.slots.items() if fd != closes}
        self.lines.append("%d %s(%s) = %s" % (number, name, ", ".join(self.short(arg) for arg in args), said))
        if effect: self.stay_below()
        if len(self.slots) > 16: self.close_all()

    def uses(self, args, number):
        slots = [arg if isinstance(arg, Slot) else arg.parts[1] for arg in args if isinstance(arg, (Slot, Joined))]
        return any(slot.number == number for slot in slots)

    def short(self, arg):
        text = repr(arg).replace("/1" * DEPTH, "/..1..")
        return text if len(text) < 160 else "%s... %d letters" % (text[:60], len(text))

    def close_all(self):
        for fd in self.slots.values(): os.close(fd)
        self.slots.clear()

    def mend(self, above):
        """Modes that shut everything out would end the walk: the directories to the tree open again."""
        path, deepest = self.top, above
        for _ in range(DEPTH + 1):
            try: os.chmod(path, 0o755)
            except OSError as error: self.lines.append("mend %s" % errno.errorcode[error.errno])
            if path == deepest: break
            path += b"/1"
        os.chdir(deepest)
        os.umask(0o22)
        for name in (b"loop", b"chain40", b"chain41"):
            if not os.path.lexists(name): self.chain(name)
        for name in (b"a", b"b", b"c"):
            if os.path.lexists(name) and not self.generator.is_directory(name): os.unlink(name)
        for name in (b"a", b"b", b"c", b"a/a", b"a/b", b"b/c", b"b/d"):
            try: os.mkdir(name, 0o755)
            except OSError: pass
            try: os.chmod(name, 0o755)
            except OSError: pass

    def chain(self, name):
        """Links that lead to links: one to itself, as many as the kernel follows, and one more."""
        if name == b"loop": return os.symlink(b"loop", b"loop")
        count = int(name[5:])
        for at in range(1, count):
            step = b"%s-%d" % (name, at)
            if not os.path.lexists(step): os.symlink(b"%s-%d" % (name, at + 1) if at + 1 < count else b"a", step)
        os.symlink(b"%s-1" % name, name)

    def run(self, count):
        libc.syscall(ctypes.c_long(95), ctypes.c_long(0o022))
        deepest = self.top + b"/1" * DEPTH
        os.makedirs(deepest)
        self.generator.top = deepest
        for number in range(count):
            if number % 100 == 0: self.mend(deepest)
            self.step(number)
        self.close_all()


def drop_capabilities():
    """Outside and inside with the same powers: none."""
    header, sets = struct.pack("<II", 0x20080522, 0), struct.pack("<6I", *[0] * 6)
    assert libc.syscall(ctypes.c_long(NUMBERS["capset"]), header, sets) == 0


def main(seed, count, threads):
    drop_capabilities()
    # What the tests themselves were started with is open outside only.
    os.closerange(3, 1024)
    here = os.getcwdb()
    if threads == 1:
        driver = Driver(seed, here + b"/t0", seed % 2 == 0, True)
        driver.run(count)
        drivers = [driver]
    else:
        drivers = [Driver(seed * 100 + n, here + b"/t%d" % n, n % 2 == 0, False) for n in range(threads)]
        failed = []

        def work(driver):
            try:
                # Umask and cwd of its own.
                if libc.syscall(ctypes.c_long(NUMBERS["unshare"]), ctypes.c_long(CLONE_FS)) != 0:
                    raise OSError(ctypes.get_errno(), "unshare")
                driver.run(count)
            except BaseException as error:
                failed.append(repr(error))
                raise

        workers = [threading.Thread(target=work, args=(driver,)) for driver in drivers]
        for worker in workers: worker.start()
        for worker in workers: worker.join()
        assert not failed, failed
    for at, driver in enumerate(drivers):
        for line in driver.lines: print("t%d" % at, line)


main(*[int(word) for word in sys.argv[1:4]])
