//! What the host does while the workload runs: mounts fall off replaced files, and the names are held.

use crate::support::Place;
use crate::trial::{Session, policy};

/// Each with an editor's save, or a tool's.
const SAVES: &[(&str, &str)] = &[
    (".mcp.json", "echo new > t && mv t .mcp.json"),
    (".claude", "rm -rf .claude && mkdir .claude && echo new > .claude/kept"),
    (".envrc", "cp .envrc .envrc~ && echo new > t && mv -f t .envrc && rm .envrc~"),
    (".git/hooks", "mv .git/hooks .git/old && mkdir .git/hooks && echo new > .git/hooks/kept"),
    (".git/config", "git config user.name new"),
    ("conf/Makefile", "rm conf/Makefile && echo new > conf/Makefile"),
    ("conf/Makefile", "mv conf gone && mkdir conf && echo new > conf/Makefile"),
];

const TRIES: &[&str] = &[
    "put('NAME' + ('/kept' if os.path.isdir('NAME') else ''), 'planted')",
    "os.truncate('NAME' + ('/kept' if os.path.isdir('NAME') else ''), 0)",
    "os.chmod('NAME', 0o700)",
    "os.setxattr('NAME', 'user.x', b'1')",
    "os.unlink('NAME' + ('/kept' if os.path.isdir('NAME') else ''))",
    "os.rename('NAME', 'moved')",
    "put('mine', 'planted'); os.rename('mine', 'NAME' + ('/kept' if os.path.isdir('NAME') else ''))",
];

#[test]
fn a_replaced_name_is_still_held() {
    let place = Place::new();
    place.outside("git init -q . && rm -rf .git/hooks && mkdir .git/hooks && echo x > .git/hooks/kept && mkdir .claude && echo x > .claude/kept").works("");
    for name in [".mcp.json", ".envrc", "conf/Makefile"] {
        place.write(&format!("home/src/app/{name}"), "x");
    }
    let options = policy(&place, "protect = [\"conf/Makefile\"]");
    let options = options.each_ref().map(String::as_str);
    let mut inside = Session::inside(&place, &options);
    for (name, save) in SAVES {
        place.outside(save).works(save);
        for act in TRIES {
            inside.fails(&act.replace("NAME", name), "EACCES EROFS EBUSY EXDEV");
        }
        let read = format!("cat {name} 2> /dev/null || cat {name}/kept");
        let kept = place.outside(&read).works(name).out;
        assert!(kept.contains("new"), "{name}: {kept}");
    }
    inside.ok("put('free', 'x'); os.rename('free', 'free2')");
    inside.end().works("the workload goes on to its own end");
}

/// A loop of saves against a loop of attempts.
#[test]
fn no_window_opens_between_saves() {
    let place = Place::new();
    place.write("home/src/app/.mcp.json", "good");
    place.write("home/src/app/.claude/settings.json", "good");
    let mut inside = Session::inside(&place, &[]);
    let tries = "
won, rounds = [], 0
while not os.path.exists('stop'):
    rounds += 1
    for n, act in enumerate((lambda: put('.mcp.json', 'evil'), lambda: put('.claude/settings.json', 'evil'),
                lambda: (put('m', 'evil'), os.rename('m', '.mcp.json')), lambda: os.truncate('.mcp.json', 1),
                lambda: os.mkdir('.claude'), lambda: os.rename('.mcp.json', 'stolen'), lambda: os.symlink('m', '.mcp.json'))):
        try:
            act()
            # Where the host had moved the directory away, it was another name's.
            if n != 1 or 'evil' in get('.claude/settings.json'): won.append(n)
        except OSError: continue
said = won if rounds > 20 else 'only %d rounds' % rounds";
    inside.tell(tries);
    let saves = "for n in $(seq 300); do echo good > t1; mv t1 .mcp.json; mv .claude c; mkdir .claude; \
                 echo good > .claude/settings.json; rm -r c; cat .mcp.json .claude/settings.json; done; touch stop";
    let seen = place.outside(saves).works("saves").out;
    assert_eq!(inside.hear(tries), "[]", "attempts that came through");
    assert!(seen.lines().all(|line| line == "good") && seen.lines().count() == 600);
    inside.end().works("to its end");
}

/// A protected name that the host makes while the workload runs, and takes away again.
#[test]
fn the_host_may_make_what_nobody_inside_may() {
    let place = Place::new();
    let mut inside = Session::inside(&place, &[]);
    inside.fails("os.mkdir('.claude')", "EACCES");
    place.outside("mkdir .claude && echo x > .claude/kept").works("the host");
    inside.ok("assert get('.claude/kept') == 'x\\n'");
    for act in TRIES {
        inside.fails(&act.replace("NAME", ".claude"), "EACCES EXDEV");
    }
    // Held open from when it was free to be held: below it nothing is made even so.
    inside.ok("held = os.open('.claude', os.O_PATH); os.chdir('.claude')");
    inside.fails("put('below')", "EACCES");
    inside.fails("os.mkdir('below', dir_fd=held)", "EACCES");
    place.outside("mv .claude elsewhere").works("the host moves it");
    inside.ok("put('below'); os.mkdir('below2', dir_fd=held)");
    place.outside("test -e elsewhere/below && mv elsewhere .claude").works("and back");
    inside.fails("put('below3')", "EACCES");
    inside.end().works("to its end");
}
