# What a tree holds: kinds, modes, sizes, link counts, contents, targets, extended attributes, names.
#
# usage: tree.py exact|content TOP [LEFT-OUT...]
#
# `exact` counts links and tells which names are one file; `content` leaves out what no program that did
# the same work promises. What is left out is a path below the top. What is shut is opened to be read, so
# the tree is spent afterwards.
import hashlib, os, stat, sys

exact, top, left_out = sys.argv[1] == "exact", os.fsencode(sys.argv[2]), [os.fsencode(name) for name in sys.argv[3:]]
first = {}


def attributes(path):
    try:
        names = sorted(os.listxattr(path, follow_symlinks=False))
        return ["%s=%s" % (name, os.getxattr(path, name, follow_symlinks=False).hex()) for name in names]
    except OSError as error:
        return [os.strerror(error.errno)]


def digest(path):
    whole = hashlib.sha256()
    with open(path, "rb") as file:
        # Sparse files may be long: what is no more than a hole counts by its size.
        if os.fstat(file.fileno()).st_blocks == 0: return "hole"
        while block := file.read(1 << 20): whole.update(block)
    return whole.hexdigest()[:16]


def show(path, name):
    seen = os.lstat(path)
    kind = stat.S_IFMT(seen.st_mode)
    words = ["%o" % seen.st_mode]
    if exact:
        words.append("links %d" % seen.st_nlink)
        if seen.st_nlink > 1 and kind != stat.S_IFDIR:
            words.append("as %r" % first.setdefault((seen.st_dev, seen.st_ino), name))
        words += attributes(path)
    if kind == stat.S_IFLNK: words.append("to %r" % os.readlink(path))
    if kind == stat.S_IFDIR: os.chmod(path, 0o700)
    if kind == stat.S_IFREG:
        os.chmod(path, 0o600)
        words.append("size %d %s" % (seen.st_size, digest(path)))
    print(repr(name.replace(b"/1" * 48, b"/..1..")), *words)
    if kind != stat.S_IFDIR: return
    # Relative names: the deepest are longer than a path may be.
    here = os.open(b".", os.O_RDONLY)
    os.chdir(path)
    for child in sorted(os.listdir(b".")):
        below = name + b"/" + child if name else child
        if below not in left_out: show(child, below)
    os.fchdir(here)
    os.close(here)


sys.setrecursionlimit(10000)
show(top, b"")
