//! Who waits for a FIFO waits for that FIFO: whatever gets its name meanwhile is not what was judged.

use std::fs;

use crate::git_work::repository;
use crate::support::Place;
use crate::trial::{Session, policy, twin};

/// A process whose threads open `path` and write into what they get.
const WAIT: &str = "
said_at = mmap.mmap(-1, 4096)
def wait(path, flags, count=1, text=b'EVIL'):
    'Says of each thread what it got (1 is a FIFO, 2 another thing), that it has begun, the number.'
    said_at[0:4096] = bytes(4096)
    pid = os.fork()
    if pid: return pid
    def go(n):
        said_at[1024 + n] = 1
        try: fd = os.open(path, flags)
        except OSError as e: said_at[n] = 100 + e.errno; return
        fifo = stat.S_ISFIFO(os.fstat(fd).st_mode)
        said_at[n] = 1 if fifo else 2
        at = 2048 + 8 * n
        said_at[at:at + 8] = os.fstat(fd).st_ino.to_bytes(8, 'little')
        if fifo: os.write(fd, b'y')
        else: os.pwrite(fd, text, 0)
    all = [threading.Thread(target=go, args=(n,)) for n in range(count)]
    for one in all: one.start()
    for one in all: one.join()
    os._exit(0)
def begun(count):
    until(lambda: sum(said_at[1024:1024 + count]) == count)
    time.sleep(0.1)
def came(count=1): return [one for one in said_at[0:count] if one]
def numbers(count):
    return [int.from_bytes(said_at[2048 + 8 * n:2056 + 8 * n], 'little') for n in range(count)]
def killed(pid):
    os.kill(pid, 9)
    return os.waitpid(pid, 0)[1]
";

/// Each mode, and what opens a FIFO so that the old file would be changed if it were opened instead.
const WAYS: &[(&str, &str)] = &[
    ("mode = \"no-delete\"", "os.O_WRONLY | os.O_TRUNC"),
    ("mode = \"no-delete\", overwrite = false", "os.O_WRONLY | os.O_TRUNC"),
    ("mode = \"no-delete\", overwrite = false", "os.O_WRONLY"),
];

#[test]
fn who_waits_for_a_fifo_does_not_follow_its_name() {
    for (filesystem, flags) in WAYS {
        let place = Place::new();
        let old = place.write("home/src/app/old", "0123456789");
        let options = policy(&place, &format!("workspace = {{ path = \".\", {filesystem} }}"));
        let copy = twin(&place);
        let mut outside = Session::outside(&place, &copy);
        outside.ok("os.mkfifo('p'); os.unlink('p'); os.link('old', 'p')");
        outside.ok(&format!("os.pwrite(os.open('p', {flags}), b'EVIL', 0)"));
        let changed = fs::read_to_string(copy.join("old")).unwrap();
        assert!(changed.starts_with("EVIL"), "the control: {changed:?}");
        let mut inside = Session::inside(&place, &options.each_ref().map(String::as_str));
        inside.ok(WAIT);
        for round in 0..3 {
            inside.ok(&format!("p = 'p{round}'; os.mkfifo(p); pid = wait(p, {flags}); begun(1)"));
            inside.ok("assert came() == [], came()");
            inside.ok("os.unlink(p); os.link('old', p); time.sleep(0.2)");
            inside.fails(&format!("os.open(p, {flags})"), "EPERM");
            inside.ok("assert came() == [] and os.waitpid(pid, os.WNOHANG)[0] == 0, came()");
            assert_eq!(fs::read_to_string(&old).unwrap(), "0123456789", "{filesystem}: {flags}");
            inside.ok("assert killed(pid) == 9");
        }
        // The FIFO itself, though another thing has its name.
        inside.ok(&format!("p = 'last'; os.mkfifo(p); pid = wait(p, {flags}); begun(1)"));
        inside
            .ok("assert came() == []; fd = os.open(p, os.O_PATH); os.unlink(p); os.link('old', p)");
        inside.ok("time.sleep(0.1); r = os.open('/proc/self/fd/%d' % fd, os.O_RDONLY)");
        inside.ok("assert os.read(r, 1) == b'y' and os.waitpid(pid, 0)[1] == 0 and came() == [1]");
        assert_eq!(fs::read_to_string(&old).unwrap(), "0123456789", "{filesystem}: {flags}");
        inside.end().works("to its end");
    }
}

/// What a round lays at the FIFO's name, and moves on.
const TEXTS: &str = "
good = get('.git/config') + '[user]\\n\\tname = good\\n'
evil = get('.git/config') + '[core]\\n\\tfsmonitor = evil\\n'
";

#[test]
fn who_waits_for_a_fifo_does_not_get_what_lands() {
    let place = repository();
    let mut outside = Session::outside(&place, &twin(&place));
    outside.ok(TEXTS);
    outside.ok("os.mkfifo('.git/q'); put('.git/good', good); os.rename('.git/good', '.git/q')");
    outside.ok("fd = os.open('.git/q', os.O_WRONLY); os.rename('.git/q', '.git/config')");
    outside.ok("os.pwrite(fd, evil.encode(), 0); assert 'evil' in get('.git/config')");
    let policy = place.root.join("policy.toml").display().to_string();
    let mut inside = Session::inside(&place, &["--policy", &policy]);
    inside.ok(WAIT);
    inside.ok(TEXTS);
    inside.ok("
landed = waited = 0
for n in range(20):
    os.mkfifo('.git/q')
    pid = wait('.git/q', os.O_WRONLY, 60, evil.encode())
    begun(60)
    waited += came(60) == []
    put('.git/good', good)
    os.rename('.git/good', '.git/q')
    os.rename('.git/q', '.git/config')
    for look in range(10):
        assert 'evil' not in get('.git/config'), n
        time.sleep(0.003)
    assert os.stat('.git/config').st_ino not in numbers(60), (n, came(60))
    landed += get('.git/config') == good
    assert killed(pid) == 9, 'they do not wait'
");
    inside.ok("assert landed == 20 and waited > 0, (landed, waited)");
    inside.ok("os.mkfifo('.git/q'); pid = wait('.git/q', os.O_WRONLY, 60); begun(60); assert came(60) == []");
    inside.ok("r = os.open('.git/q', os.O_RDONLY); assert os.waitpid(pid, 0)[1] == 0 and came(60) == [1] * 60");
    inside.end().works("to its end");
    let kept = fs::read_to_string(place.work.join(".git/config")).unwrap();
    assert!(!kept.contains("evil") && kept.contains("name = good"), "{kept}");
}
