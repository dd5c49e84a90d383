//! Programs in gVisor's kernel: which kernel it is, and that work is done in it.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::{finish, variable};
use crate::{Wall, place};

#[test]
fn the_kernel_is_gvisors() {
    let act = "uname -r; dmesg | head -n 1; id -u; grep CapEff /proc/self/status";
    for wall in Wall::all() {
        let host = wall.place.outside("uname -r").works("the control").out;
        let ran = wall.sh(act).works(wall.name);
        let release = ran.out.lines().next().unwrap();
        assert_ne!(release, host.trim(), "{}", wall.name);
        assert!(ran.out.contains("Starting gVisor"), "{}: {ran:?}", wall.name);
        assert!(ran.out.contains("\n0\nCapEff:\t0000000000000000\n"), "{}: {ran:?}", wall.name);
    }
}

#[test]
fn python_node_and_git_work() {
    let python = "/usr/bin/python3 -c 'import json, threading; \
                  t = threading.Thread(target=lambda: print(json.dumps([6 * 7]))); t.start(); t.join()'";
    let git = "set -e; cd /tmp; git init -q tree; cd tree; echo one > file; git add file; \
               git -c user.name=a -c user.email=a@b.test commit -q -m first; git log --format=%s; git status --short";
    for wall in Wall::all() {
        for (act, word) in [(python, "[42]\n"), (git, "first\n"), ("node -p 6*7", "42\n")] {
            if wall.place.outside(act).status != Some(0) {
                println!("not run: {act}: not installed here");
                continue;
            }
            wall.place.outside("rm -rf /tmp/tree").works("tidy up");
            assert_eq!(wall.sh(act).works(wall.name).out, word, "{}: {act}", wall.name);
        }
    }
}

/// The toolchain is granted read-only, for with `tenant` nothing of the home is there; what is built lies
/// in a private place.
#[test]
fn cargo_builds() {
    let Some(wall) = Wall::reading() else { return };
    let home = variable("HOME").unwrap_or_default();
    let mut rustc = wall.place.command("rustc");
    let asked = rustc.env("HOME", home).args(["--print", "sysroot"]).output();
    let root = asked.map(|ran| String::from_utf8_lossy(&ran.stdout).trim().to_owned());
    let root = root.unwrap_or_default();
    let cargo = format!("{root}/bin/cargo");
    if root.is_empty() || !Path::new(&cargo).is_file() {
        println!("not run: cargo build inside: no toolchain is found here");
        return;
    }
    wall.place.write(
        "home/src/app/Cargo.toml",
        "[package]\nname = \"small\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
    );
    wall.place.write(
        "home/src/app/Cargo.lock",
        "version = 3\n[[package]]\nname = \"small\"\nversion = \"0.1.0\"\n",
    );
    wall.place.write("home/src/app/src/main.rs", "fn main() { println!(\"built\"); }\n");
    let build = format!(
        "export PATH={root}/bin:$PATH CARGO_HOME=$TARGET/home; \
         cargo build -q --offline --locked --target-dir $TARGET && $TARGET/debug/small; s=$?; rm -rf $TARGET; exit $s"
    );
    let outside = format!("TARGET=$OUT/target; {build}");
    assert_eq!(wall.place.outside(&outside).works("the control").out, "built\n");
    let grant = format!("{root}:ro");
    let ran = wall.sh_with(&["--grant", &grant], &format!("TARGET=/tmp/target; {build}"));
    assert_eq!(ran.works("cargo build").out, "built\n");
}

/// Ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A wheel, an index of it, and a server of both that writes its port.
const INDEX: &str = "import http.server, os, zipfile
os.makedirs('index/simple/small')
with zipfile.ZipFile('index/simple/small/small-1.0-py3-none-any.whl', 'w') as wheel:
    wheel.writestr('small.py', 'x = 1\\n')
    wheel.writestr('small-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: small\\nVersion: 1.0\\n')
    wheel.writestr('small-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: a\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr('small-1.0.dist-info/RECORD', 'small.py,,\\nsmall-1.0.dist-info/METADATA,,\\nsmall-1.0.dist-info/WHEEL,,\\nsmall-1.0.dist-info/RECORD,,\\n')
os.chdir('index')
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)
open('../port', 'w').write(str(server.server_port) + '\\n')
server.serve_forever()";

#[test]
fn pip_installs_through_the_gateway() {
    let server_place = place();
    let mut command = server_place.command("/usr/bin/python3");
    command.args(["-c", INDEX]).current_dir(&server_place.out).stderr(Stdio::null());
    let _server = Server(command.spawn().unwrap());
    let end = Instant::now() + Duration::from_secs(20);
    while !server_place.read("out/port").ends_with('\n') {
        assert!(Instant::now() < end, "the index answers");
        std::thread::sleep(Duration::from_millis(10));
    }
    let port = server_place.read("out/port").trim().to_owned();
    let pip = |at: &str, host: &str| {
        format!(
            "/usr/bin/python3 -m pip install -q --no-deps --no-cache-dir --no-compile --retries 0 --timeout 20 \
             --disable-pip-version-check --root-user-action ignore --target {at} --trusted-host {host} \
             --index-url http://{host}/simple small && cat {at}/small.py"
        )
    };
    let control = pip("$OUT/got", &format!("127.0.0.1:{port}"));
    if server_place.outside("/usr/bin/python3 -m pip --version").status != Some(0) {
        println!("not run: pip inside: it is not installed");
        return;
    }
    assert_eq!(server_place.outside(&control).works("the control").out, "x = 1\n");
    let fetch = format!(
        "import socket, urllib.request
urls = ('http://pypi.test/simple/', 'http://other.test/simple/')
def says(act):
    try: print(act())
    except Exception as e: print('failed:', e)
says(lambda: urllib.request.urlopen(urls[0], timeout=20).status)
says(lambda: urllib.request.urlopen(urls[1], timeout=20).status)
direct = urllib.request.build_opener(urllib.request.ProxyHandler({{}}))
says(lambda: direct.open(urls[0], timeout=20).status)
says(lambda: direct.open(urls[1], timeout=20).status)
says(lambda: direct.open('http://127.0.0.1:{port}/simple/', timeout=20).status)"
    );
    let outside =
        format!("import urllib.request\nurllib.request.urlopen('http://127.0.0.1:{port}/simple/')");
    server_place.python_outside(&outside).works("the control");
    for wall in Wall::all() {
        let policy = format!(
            "version = 1\n[[network.allow]]\nhost = \"pypi.test\"\nports = [80]\ndial = \"127.0.0.1:{port}\"\n"
        );
        let policy = wall.place.write("policy.toml", &policy).display().to_string();
        let options = ["--policy", policy.as_str()];
        let mut command = wall.command(&options);
        let ran = finish(command.args(["/usr/bin/python3", "-c", &fetch])).works(wall.name);
        let lines: Vec<&str> = ran.out.lines().collect();
        let works: Vec<bool> = lines.iter().map(|line| *line == "200").collect();
        assert_eq!(works, [true, false, true, false, false], "{}: {ran:?}", wall.name);
        assert!(lines[1].contains("403") && lines[4].contains("refused"), "{ran:?}");
        // It imports some hundreds of files.
        if wall.name.starts_with("tenant") {
            let ran = wall.sh_with(&options, &pip("/tmp/got", "pypi.test"));
            assert_eq!(ran.works(wall.name).out, "x = 1\n", "{}", wall.name);
        }
    }
}

#[test]
fn eight_at_once() {
    let Some(wall) = Wall::tenant() else { return };
    let children: Vec<_> = (0..8)
        .map(|number| {
            let script = format!("cd /var/tmp; echo {number} > own; sleep 1; cat own; ls");
            let mut command = wall.command(&[]);
            let command = command.args(["sh", "-c", &script]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for (number, child) in children.into_iter().enumerate() {
        let ran = child.wait_with_output().unwrap();
        let out = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success() && out == format!("{number}\nown\n"), "{number}: {ran:?}");
    }
}

#[test]
fn what_is_written_does_not_stay() {
    let Some(wall) = Wall::tenant() else { return };
    wall.place.write("home/src/app/file", "before\n");
    let act = "set -e; echo after > file; echo new > made; cat file made; rm file; mkdir -p sub; test ! -e file";
    let ran = wall.sh(act).works("it is written inside");
    assert_eq!(ran.out, "after\nnew\n");
    assert_eq!(wall.place.read("home/src/app/file"), "before\n");
    assert!(!wall.place.work.join("made").exists() && !wall.place.work.join("sub").exists());
    assert_eq!(wall.sh("cat file; ls").works("the next run").out, "before\nfile\n");
    wall.place.outside(act).works("the control, outside");
    assert!(wall.place.work.join("made").exists());
}

#[test]
fn bad_input_is_refused() {
    let Some(wall) = Wall::tenant() else { return };
    let missing = wall.place.out.join("nothing").display().to_string();
    for (options, why) in [
        (&["--runsc", missing.as_str()][..], "there is no runsc at"),
        (&["--runsc", "/usr/bin/true"], "--version"),
        (&["--isolation", "gvizor"], "gvizor"),
        (&["--oversight", "nobody"], "nobody"),
        (&["--grant", "$OUT:rw:append"], "grant"),
    ] {
        let isolation: &[&str] =
            if options.contains(&"--isolation") { &[] } else { &["--isolation", "gvisor"] };
        let mut command = wall.place.cofferdam(&[options, isolation].concat());
        let ran = finish(command.arg("true"));
        assert!(matches!(ran.status, Some(2 | 125)), "{why}: {ran:?}");
        assert!(ran.err.contains(why), "{why}: {ran:?}");
    }
    // What only the broker holds.
    let mut command = crate::run(&wall.place, &wall.runsc, &["--isolation", "gvisor"]);
    finish(command.arg("true")).refused("gvisor-unheld", "a written workspace");
}
