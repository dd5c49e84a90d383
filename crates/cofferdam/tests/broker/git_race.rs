//! What lands in `.git/config` is the text that was judged, whoever still holds the file open.

use std::fs;

use crate::git_work::repository;
use crate::trial::Session;

/// Another process keeps writing one text and the other into files that it holds open, while each is
/// moved into place.
const RACE: &str = "
good = (get('.git/config') + '[user]\\n\\tname = good\\n#padding-padding\\n').encode()
evil = (get('.git/config') + '[core]\\n\\tfsmonitor = sh -c evil\\n').encode()
evil += b'#' * (len(good) - len(evil)) if len(good) > len(evil) else b''
good += b'#' * (len(evil) - len(good))
# A read in the middle of a write may see the end of the other text, in a comment.
EVIL = b'[core]\\n\\tfsmonitor'
def rounds(count):
    landed = refused = evils = 0
    at = mmap.mmap(-1, 8)
    files = [os.open('.git/l%d' % n, os.O_RDWR | os.O_CREAT, 0o600) for n in range(count)]
    for fd in files: os.write(fd, good)
    pid = os.fork()
    if pid == 0:
        while at[0] < 255 or at[1] < 255:
            fd = files[min(at[0] + 200 * at[1], count - 1)]
            os.pwrite(fd, evil, 0)
            os.pwrite(fd, good, 0)
        os._exit(0)
    for n in range(count):
        at[0], at[1] = n % 200, n // 200
        time.sleep(0.0002 * (n % 3))
        try: os.rename('.git/l%d' % n, '.git/config'); landed += 1
        except OSError as e: refused += 1
        for look in range(20):
            if EVIL in open('.git/config', 'rb').read(): evils += 1; break
    at[0] = at[1] = 255
    os.waitpid(pid, 0)
    # What was held open is not what landed.
    for fd in files: os.pwrite(fd, evil, 0)
    evils += EVIL in open('.git/config', 'rb').read()
    for n in range(count):
        try: os.unlink('.git/l%d' % n)
        except OSError: pass
    for fd in files: os.close(fd)
    return landed, refused, evils
";

#[test]
fn what_lands_was_judged() {
    let place = repository();
    let mut outside = Session::outside(&place, &place.work);
    let config = place.work.join(".git/config");
    let text = fs::read(&config).unwrap();
    outside.ok(RACE);
    outside.ok("landed, refused, evils = rounds(100); assert refused == 0 and evils > 0");
    drop(outside);
    fs::write(&config, &text).unwrap();
    let policy = place.root.join("policy.toml").display().to_string();
    let mut inside = Session::inside(&place, &["--policy", &policy]);
    inside.ok(RACE);
    inside.ok("landed, refused, evils = rounds(500)");
    inside.ok("assert evils == 0, (landed, refused, evils)");
    inside.ok("assert landed > 20 and refused > 0, (landed, refused, evils)");
    inside.end().works("to its end");
    let kept = fs::read_to_string(&config).unwrap();
    assert!(!kept.contains("fsmonitor") && kept.contains("[user]"), "{kept}");
    place.outside("git status --porcelain").works("git reads it");
}

/// The copy that is to land has a name for a moment: nobody opens it there, and nobody puts another
/// file in its place.
const STEAL: &str = "
def steal(seconds):
    'Renames an allowed text into place, while others go for what has the name meanwhile.'
    stop = mmap.mmap(-1, 1)
    pids = []
    for way in ('open', 'rename', 'link', 'open', 'rename', 'symlink'):
        pid = os.fork()
        if pid == 0:
            held = []
            while not stop[0]:
                try:
                    if way == 'open':
                        fd = os.open('.git/config.lock', os.O_WRONLY)
                        if len(held) < 800: held.append(fd)
                        else: os.close(fd)
                    elif way == 'rename':
                        put('.git/evil%d' % os.getpid(), evil); os.rename('.git/evil%d' % os.getpid(), '.git/config.lock')
                    elif way == 'link':
                        os.link('.git/config.lock', '.git/second%d' % len(held)); held.append(0)
                    else:
                        os.symlink(os.environ['W'] + '/evil', '.git/config.lock')
                except OSError: pass
            for n in range(len(held)):
                try:
                    if way == 'open': os.pwrite(held[n], evil.encode(), 0)
                    else: put('.git/second%d' % n, evil)
                except OSError: pass
            os._exit(0)
        pids.append(pid)
    landed = seen = 0
    end = time.time() + seconds
    while time.time() < end:
        try:
            put('.git/mine', good); os.rename('.git/mine', '.git/config.lock'); os.rename('.git/config.lock', '.git/config'); landed += 1
        except OSError: pass
        seen += 'evil' in get('.git/config')
    stop[0] = 1
    for pid in pids: os.waitpid(pid, 0)
    return landed, seen + ('evil' in get('.git/config'))
good = get('.git/config') + '[user]\\n\\tname = good\\n'
evil = get('.git/config') + '[core]\\n\\tfsmonitor = sh -c evil\\n'
put('evil', evil)
";

#[test]
fn nobody_takes_the_place_of_what_lands() {
    let place = repository();
    let policy = place.root.join("policy.toml").display().to_string();
    let mut inside = Session::inside(&place, &["--policy", &policy]);
    inside.ok(STEAL);
    inside.ok("landed, seen = steal(4)");
    inside.ok("assert seen == 0, (landed, seen)");
    inside.ok("assert landed > 0, (landed, seen)");
    inside.end().works("to its end");
    let config = place.work.join(".git/config");
    assert!(!fs::read_to_string(&config).unwrap().contains("evil"));
    let seen = fs::symlink_metadata(&config).unwrap();
    assert!(
        seen.is_file() && std::os::unix::fs::MetadataExt::nlink(&seen) == 1,
        "one name: {seen:?}"
    );
    let place = repository();
    let mut outside = Session::outside(&place, &place.work);
    outside.ok(STEAL);
    outside.ok("landed, seen = steal(1); assert seen > 0");
}
