//! F34: nothing appears in the tree at any time, not even when everything is killed.

use std::fs;

use crate::support::{Place, marked};
use crate::trial::{Session, init_of, policy, seen};

/// Everything that would make, replace or remove a held name, and the ways that make other names first.
const TRIES: &str = "
def tries():
    for name in ('.claude', '.mcp.json', '.git/hooks', '.vscode', '.envrc', '.husky', '.gitmodules', 'x/.env', 'p/q'):
        for act in (lambda: put(name), lambda: os.mkdir(name), lambda: os.makedirs(name), lambda: os.symlink('f', name),
                    lambda: os.link('f', name), lambda: os.rename('f', name), lambda: os.mkfifo(name),
                    lambda: socket.socket(socket.AF_UNIX).bind(name), lambda: os.unlink(name), lambda: os.rename('d', name),
                    lambda: os.stat(name), lambda: get(name), lambda: os.truncate(name, 0)):
            try: act(); print('made', name, file=sys.stderr)
            except OSError: pass
";

fn repository() -> Place {
    let place = Place::new();
    place
        .outside(
            "git init -q . && rm -rf .git/hooks .git/info && git config user.email a@b.test && git config user.name a \
             && mkdir d p x && echo x > x/x && echo x > d/x && echo x > f && echo x > p/x && git add . && git commit -qm one && git status",
        )
        .works("a repository");
    place
}

fn status(place: &Place) -> String {
    place.outside("git --no-optional-locks status --porcelain --ignored").works("status").out
}

#[test]
fn the_tree_stays_clean() {
    let place = repository();
    let options = policy(
        &place,
        "protect = [\"p/q\", \"absent/deep/name\"]\nhide = [\"**/.env\", \"gone/secret\"]\nmask = [\"none.json\"]",
    );
    let options = options.each_ref().map(String::as_str);
    let before = seen(&place.work);
    for way in ["end", "engine", "init", "everything"] {
        let mark = format!("ghost-{way}-{}", std::process::id());
        let mut inside = Session::inside(&place, &options);
        assert_eq!(status(&place), "", "{way}: it has started");
        inside.ok(TRIES);
        inside.ok("tries()");
        inside.ok(&format!("os.environ['MARK'] = '{mark}'"));
        inside.ok("child = subprocess.Popen(['sleep', '60'])");
        assert_eq!(status(&place), "", "{way}: after attempts");
        let init = init_of(inside.pid());
        let all = marked(&format!("MARK={mark}"));
        match way {
            "end" => {
                inside.ok("child.kill(); child.wait()");
                inside.end().works("its own end");
            }
            "engine" => inside.kill(),
            "init" => {
                place.outside(&format!("kill -9 {init}")).works("killed");
                assert_eq!(inside.end().status, Some(125), "init was lost");
            }
            _ => {
                // In the middle of attempts.
                inside.tell("while True: tries()");
                std::thread::sleep(std::time::Duration::from_millis(100));
                let victims: Vec<String> = all.iter().map(u32::to_string).collect();
                let kill = format!("kill -9 {} {init} {}", inside.pid(), victims.join(" "));
                drop(place.outside(&kill));
                inside.kill();
            }
        }
        assert_eq!(status(&place), "", "{way}: after its end");
        assert_eq!(seen(&place.work), before, "{way}: to the last time stamp");
    }
    place
        .outside("mkdir .claude && touch .claude/x && git status --porcelain | grep claude")
        .works("the control");
}

#[test]
fn git_add_takes_what_is_there() {
    let place = repository();
    let options = policy(&place, "protect = [\"p/q\"]");
    let options = options.each_ref().map(String::as_str);
    place
        .inside_with(
            &options,
            "echo y > new && git add . && git commit -qm two && git status --porcelain",
        )
        .works("git add .");
    assert_eq!(place.outside("git show --stat --format= HEAD | grep -c '|'").works("").out, "1\n");
    assert_eq!(status(&place), "");
    assert!(fs::symlink_metadata(place.work.join(".claude")).is_err());
}
