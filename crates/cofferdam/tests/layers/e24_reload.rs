//! E24: another policy during a session, about something else, opens nothing; nor does one that goes
//! beyond the ceiling, or a file that changes by itself.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::places::managed;
use crate::support::{Place, Ran, finish, is_root, programs};

/// Answers each `ask-N` with the first line that the proxy says to CONNECT of the host named in it.
const ASKS: &str = r#"
import os, re, socket, time
proxy = re.sub(r"^\w+://|/$", "", os.environ.get("HTTPS_PROXY") or os.environ["https_proxy"])
host, port = proxy.rsplit(":", 1)
open("ready", "w").close()
n = 0
end = time.time() + 100
while time.time() < end:
    if not os.path.exists(f"ask-{n}"):
        time.sleep(0.02)
        continue
    name = open(f"ask-{n}").read().strip()
    if name == "over": break
    s = socket.create_connection((host.strip("[]"), int(port)), 20)
    s.sendall(f"CONNECT {name}:443 HTTP/1.1\r\nHost: {name}:443\r\n\r\n".encode())
    s.settimeout(30)
    said = s.recv(200).split(b"\r\n")[0].decode()
    open("answer", "w").write(said)
    os.rename("answer", f"answer-{n}")
    n += 1
"#;

struct Running {
    child: Child,
    asked: usize,
}

impl Running {
    fn start(place: &Place, mut command: Command) -> Self {
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let running = Self { child, asked: 0 };
        wait_for(&place.work.join("ready"));
        running
    }

    /// What the proxy says to CONNECT.
    fn connect(&mut self, place: &Place, host: &str) -> String {
        let ask = place.work.join("asking");
        std::fs::write(&ask, host).unwrap();
        std::fs::rename(&ask, place.work.join(format!("ask-{}", self.asked))).unwrap();
        let answer = place.work.join(format!("answer-{}", self.asked));
        wait_for(&answer);
        self.asked += 1;
        std::fs::read_to_string(answer).unwrap()
    }

    fn end(mut self, place: &Place) {
        std::fs::write(place.work.join(format!("ask-{}", self.asked)), "over").unwrap();
        assert!(self.child.wait().unwrap().success(), "the session ends by itself");
    }
}

fn wait_for(path: &Path) {
    let until = Instant::now() + Duration::from_secs(60);
    while !path.exists() {
        assert!(Instant::now() < until, "{path:?} does not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn apply(place: &Place, text: &str) -> Ran {
    let file = place.write("out/new.toml", text).display().to_string();
    finish(place.command(programs().join("cofferdam")).args(["policy", "apply", &file]))
}

const START: &str =
    "version = 1\n[filesystem]\nhide = [\"a\"]\n[[network.allow]]\nhost = \"good.test\"\n";

fn is_denied(said: &str) -> bool {
    said.starts_with("HTTP/1.1 403")
}

#[test]
fn e24_a_reload_of_something_else_opens_nothing() {
    let place = Place::new();
    let users = place.write("home/.config/cofferdam/policy.toml", START);
    let mut command = place.cofferdam(&[]);
    command.args(["/usr/bin/python3", "-c", ASKS]);
    let mut running = Running::start(&place, command);
    assert!(is_denied(&running.connect(&place, "evil.test")), "at the start");
    let good = running.connect(&place, "good.test");
    assert!(!is_denied(&good), "the twin: whom a rule names is no 403: {good}");
    // The unrelated key needs a new start; nothing of the new text holds.
    apply(&place, &START.replace("\"a\"", "\"b\"")).refused("restart", "hide is made once");
    assert!(is_denied(&running.connect(&place, "evil.test")), "after one that does not hold");
    // One that holds, and says nothing of evil.test.
    let denied = format!("{START}[[network.deny]]\nhost = \"other.test\"\n");
    apply(&place, &denied).works("another rule holds");
    assert!(is_denied(&running.connect(&place, "evil.test")), "after one that holds");
    assert!(!is_denied(&running.connect(&place, "good.test")), "the list is still there");
    // A file that changes by itself is nobody's word.
    std::fs::write(&users, START.replace("good.test", "evil.test")).unwrap();
    assert!(is_denied(&running.connect(&place, "evil.test")), "after the file changed");
    apply(&place, "version = 1\n[filesystem]\nhide = [\"a\"]\n").works("a list that is gone");
    assert!(is_denied(&running.connect(&place, "evil.test")), "no list is not every host");
    assert!(is_denied(&running.connect(&place, "good.test")));
    running.end(&place);
}

#[test]
fn e24_a_reload_keeps_the_ceiling() {
    if !is_root() {
        println!(
            "not run: a run below a managed policy: only root has one without a user namespace"
        );
        return;
    }
    let place = Place::new();
    place.write("home/.config/cofferdam/policy.toml", "version = 1\n");
    let ceiling = "[managed]\nonly = [\"network.allow\"]\n[[network.allow]]\nhost = \"good.test\"\n\
                   [[network.allow]]\nhost = \"denied.test\"\n[[network.deny]]\nhost = \"denied.test\"";
    let script = place.write("asks.py", ASKS);
    let grant = format!("{}:ro", place.root.join("asks.py").display());
    let words: Vec<String> =
        ["run", "--grant", &grant, "--", "/usr/bin/python3", &script.display().to_string()]
            .map(str::to_owned)
            .into();
    std::thread::scope(|scope| {
        let (place, words) = (&place, &words);
        let session = scope.spawn(move || {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            managed(place, ceiling, "true", &words).unwrap()
        });
        wait_for(&place.work.join("ready"));
        let mut running = Running { child: Command::new("true").spawn().unwrap(), asked: 0 };
        assert!(is_denied(&running.connect(place, "evil.test")), "at the start");
        assert!(!is_denied(&running.connect(place, "good.test")), "the twin");
        let evil = "version = 1\n[[network.allow]]\nhost = \"evil.test\"\n";
        apply(place, evil).refused("beyond-managed", "who applies it is below the ceiling");
        assert!(is_denied(&running.connect(place, "evil.test")), "after that");
        apply(place, "version = 1\n").works("one that adds nothing");
        assert!(!is_denied(&running.connect(place, "good.test")), "what is managed stays");
        assert!(is_denied(&running.connect(place, "denied.test")), "and its denials");
        assert!(is_denied(&running.connect(place, "evil.test")));
        running.end(place);
        session.join().unwrap().works("the session");
    });
}
