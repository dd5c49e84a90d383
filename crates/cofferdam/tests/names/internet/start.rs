//! How the internet comes up and goes away.
//!
//! The test starts its own program again in new namespaces: HOST. That one starts it a second time:
//! NET. Each lives as long as its standard input, which ends with the one that started it, however
//! that ends. Only the kernel, `ip`, `mount`, `unshare`, `nsenter`, `openssl` and Python are needed.

use std::fs;
use std::io::{BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::dns::Zone;
use super::log::{Ask, Log, ask};
use super::servers::{HOST_PORTS, NET_PORTS, Serves, tls_program};
use super::tap::{HOST_END, HOST_END_BYTES, LOOPBACK, Tap};
use super::{DNS, DNS_6, EVIL, EVIL_6, GOOD, GOOD_6, HOST, HOST_6, HOST_PRIVATE};
use crate::support::{Place, finish, is_root, marked, variable};

/// Which of the two a started program is to be, and where their files are.
const ROLE: &str = "COFFERDAM_INTERNET";
const FOLDER: &str = "COFFERDAM_INTERNET_FOLDER";
/// How long any step may take: many times what it takes on a slow machine.
const UP_WITHIN: Duration = Duration::from_secs(20);
const TICK: Duration = Duration::from_millis(1);

/// HOST's side; `$1` is the process that is NET, `$2` the folder. The private mount namespace has our name server.
const HOST_SCRIPT: &str = "
set -e
ip link set lo up
ip link add host0 address $HOST_END type veth peer name net0 address 02:00:00:00:00:02 netns $1
ip link set host0 addrgenmode none
ip addr add $HOST/30 dev host0
ip addr add $HOST_PRIVATE/32 dev host0
ip -6 addr add $HOST_6/64 dev host0 nodad
ip link set host0 up
ip route add default via 93.184.217.1
ip -6 route add default via 2606:2800:220:2::1
# A ping by the control is no ping where a group may not.
echo \"$(id -g) $(id -g)\" >/proc/sys/net/ipv4/ping_group_range || true
mount --bind $2/resolv.conf /etc/resolv.conf
mount --bind $2/hosts /etc/hosts
";

/// NET's side: every address is its own.
const NET_SCRIPT: &str = "
set -e
ip link set lo up
ip link set net0 addrgenmode none
ip addr add 93.184.217.1/30 dev net0
ip -6 addr add 2606:2800:220:2::1/64 dev net0 nodad
ip link set net0 up
# In the table that is looked at first, and that says which addresses may be a source.
ip route add $HOST/32 dev net0 table local
ip route add $HOST_PRIVATE/32 dev net0 table local
ip route add local default dev lo table local
ip -6 route add $HOST_6/128 dev net0 table local
ip -6 route add local default dev lo table local
for a in $DNS $EVIL $GOOD; do ip addr add $a/32 dev lo; done
for a in $DNS_6 $EVIL_6 $GOOD_6; do ip -6 addr add $a/128 dev lo nodad; done
";

/// A certification authority of this run, and one certificate for all servers.
const CERTIFICATES_SCRIPT: &str = "
set -e
cd \"$1\"
cat >ca.cnf <<'END'
[req]
distinguished_name = name
prompt = no
[name]
CN = cofferdam test
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = @names
[elsewhere]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = DNS:elsewhere.test
[late]
database = index
new_certs_dir = .
rand_serial = yes
certificate = ca.pem
private_key = ca.key
default_md = sha256
policy = any
[any]
commonName = supplied
[names]
DNS.1 = good.test
DNS.2 = *.good.test
DNS.3 = wide.test
DNS.4 = *.wide.test
DNS.5 = evil.test
DNS.6 = *.evil.test
DNS.7 = four.test
DNS.8 = six.test
DNS.9 = other.test
DNS.10 = new.test
DNS.11 = *.new.test
DNS.12 = one.test
DNS.13 = two.test
DNS.14 = expired.test
DNS.15 = self.test
DNS.16 = stranger.test
IP.1 = $GOOD
IP.2 = $EVIL
IP.3 = $GOOD_6
IP.4 = $EVIL_6
END
sed -i \"s/\\$GOOD_6/$GOOD_6/; s/\\$EVIL_6/$EVIL_6/; s/\\$GOOD/$GOOD/; s/\\$EVIL/$EVIL/\" ca.cnf
key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -config ca.cnf'
openssl req -x509 $key -extensions ca -keyout ca.key -out ca.pem 2>log
openssl req -x509 $key -extensions leaf -CA ca.pem -CAkey ca.key -keyout leaf.key -out leaf.pem 2>log
# Four that nobody is to believe: nobody's, a stranger's, one of another name, one of another time.
openssl req -x509 $key -extensions leaf -keyout self.key -out self.pem 2>log
openssl req -x509 $key -extensions ca -keyout stranger-ca.key -out stranger-ca.pem 2>log
openssl req -x509 $key -extensions leaf -CA stranger-ca.pem -CAkey stranger-ca.key -keyout stranger.key -out stranger.pem 2>log
openssl req -x509 $key -extensions elsewhere -CA ca.pem -CAkey ca.key -keyout wrong.key -out wrong.pem 2>log
: >index
openssl req -new $key -keyout expired.key -out expired.csr 2>log
openssl ca -batch -config ca.cnf -name late -extensions leaf -startdate 20200101000000Z -enddate 20210101000000Z \
    -notext -in expired.csr -out expired.pem 2>log
";

/// A running internet, from the test's side.
#[derive(Debug)]
pub struct Running {
    /// HOST; its standard input is what keeps all alive.
    pub host: Child,
    pub folder: PathBuf,
}

/// Why there can be none here.
pub fn why_not() -> Option<String> {
    for program in ["ip", "mount", "unshare", "nsenter", "openssl", "timeout", "/usr/bin/python3"] {
        let found = Command::new("sh").args(["-c", "command -v \"$0\"", program]).output();
        if !found.is_ok_and(|output| output.status.success()) {
            return Some(format!("{program} is not installed"));
        }
    }
    let tried = finish(&mut unshare("true".as_ref()));
    (tried.status != Some(0)).then(|| format!("no namespaces for this user: {}", tried.err.trim()))
}

/// A command in new namespaces of network and mounts; for who is not root, in a new user namespace
/// with the same numbers and all capabilities in it.
fn unshare(program: &Path) -> Command {
    let mut command = Command::new("unshare");
    if !is_root() {
        command.args(["--user", "--map-current-user", "--keep-caps"]);
    }
    command.args(["--net", "--mount", "--"]).arg(program);
    command
}

/// This program once more, to be a part of the internet.
fn again(command: &mut Command, role: &str, folder: &Path) -> std::io::Result<Child> {
    let log = fs::File::create(folder.join(role))?;
    // The test's own name without the crate's: `serves` beside this module.
    let path = module_path!().split_once("::").map_or("", |(_, path)| path);
    let path = path.replace("start", "serves");
    command
        .args(["--exact", &path, "--nocapture"])
        .env(ROLE, role)
        .env(FOLDER, folder)
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
}

/// Brings one up and waits until its servers answer.
pub fn up() -> Running {
    let place = std::mem::ManuallyDrop::new(Place::new());
    let folder = place.root.clone();
    fs::create_dir_all(folder.join("www/git")).unwrap_or_else(|error| panic!("{error}"));
    place.write("resolv.conf", &format!("nameserver {DNS}\noptions timeout:2 attempts:2\n"));
    place.write("hosts", "127.0.0.1 localhost\n::1 localhost\n");
    let program = std::env::current_exe().unwrap_or_else(|error| panic!("{error}"));
    let host = again(&mut unshare(&program), "host", &folder);
    let mut host = host.unwrap_or_else(|error| panic!("unshare: {error}"));
    for name in ["net.sock", "host.sock"] {
        wait(name, &mut host, &folder, |folder| ask(&folder.join(name), &Ask::Seen).is_ok());
    }
    Running { host, folder }
}

/// Waits for something that a child does.
fn wait(what: &str, child: &mut Child, folder: &Path, done: impl Fn(&Path) -> bool) {
    let until = Instant::now() + UP_WITHIN;
    while !done(folder) {
        let ended = child.try_wait().unwrap_or_else(|error| panic!("{what}: {error}"));
        if ended.is_some() || Instant::now() > until {
            let said = |role| fs::read_to_string(folder.join(role)).unwrap_or_default();
            panic!("{what}: {ended:?}\nHOST: {}\nNET: {}", said("host"), said("net"));
        }
        std::thread::sleep(TICK);
    }
}

/// What this process is to be, if a test has started it.
pub fn role() -> Option<(String, PathBuf)> {
    Some((variable(ROLE)?, variable(FOLDER)?.into()))
}

/// Is HOST or NET until standard input ends.
pub fn serve(role: &str, folder: &Path) {
    match role {
        "host" => host(folder),
        "net" => net(folder),
        "test" => {
            // Brings up one of its own, says where, and waits to be killed.
            fs::write(folder.join("up"), up().folder.as_os_str().as_encoded_bytes())
                .unwrap_or_else(|error| panic!("{error}"));
            until_input_ends();
        }
        _ => panic!("{role}: no such part"),
    }
}

/// A test that is killed with its internet up; the folder of that.
pub fn killed(place: &Place) -> PathBuf {
    let program = std::env::current_exe().unwrap_or_else(|error| panic!("{error}"));
    let test = again(&mut Command::new(program), "test", &place.root);
    let mut test = test.unwrap_or_else(|error| panic!("{error}"));
    let said = |folder: &Path| fs::read_to_string(folder.join("up")).unwrap_or_default();
    wait("up", &mut test, &place.root, |folder| !said(folder).is_empty());
    test.kill().and_then(|()| test.wait()).unwrap_or_else(|error| panic!("{error}"));
    said(&place.root).into()
}

/// Processes of the internet of a folder, and whether the folder is there.
pub fn left(folder: &Path) -> (Vec<u32>, bool) {
    (marked(&format!("{FOLDER}={}", folder.display())), folder.exists())
}

fn script(command: &mut Command, text: &str, arguments: &[&str]) {
    let ran = finish(
        command
            .args(["sh", "-c", text, "sh"])
            .args(arguments)
            .envs([("DNS", DNS), ("EVIL", EVIL), ("GOOD", GOOD), ("HOST", HOST)])
            .envs([("DNS_6", DNS_6), ("EVIL_6", EVIL_6), ("GOOD_6", GOOD_6), ("HOST_6", HOST_6)])
            .envs([("HOST_END", HOST_END), ("HOST_PRIVATE", HOST_PRIVATE)]),
    );
    assert_eq!(ran.status, Some(0), "{}", ran.err);
}

fn host(folder: &Path) {
    let text = folder.display().to_string();
    let program = std::env::current_exe().unwrap_or_else(|error| panic!("{error}"));
    let certificates = std::thread::spawn({
        let text = text.clone();
        move || script(&mut Command::new("env"), CERTIFICATES_SCRIPT, &[&text])
    });
    let net = again(Command::new("unshare").args(["--net", "--"]).arg(program), "net", folder);
    let mut net = net.unwrap_or_else(|error| panic!("unshare: {error}"));
    let space = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    let pid = net.id().to_string();
    wait("net", &mut net, folder, |_| space(&pid).is_some_and(|its| Some(its) != space("self")));
    script(&mut Command::new("env"), HOST_SCRIPT, &[&pid, &text]);
    let entered = format!("--net=/proc/{pid}/ns/net");
    script(Command::new("nsenter").args([&entered, "--"]), NET_SCRIPT, &[]);
    certificates.join().unwrap_or_else(|error| std::panic::resume_unwind(error));
    let mut input = net.stdin.take();
    let go = input.as_mut().map(|input| input.write_all(b"go\n"));
    go.unwrap_or(Ok(())).unwrap_or_else(|error| panic!("{error}"));
    let tap = Tap::new(LOOPBACK).unwrap_or_else(|error| panic!("packet socket: {error}"));
    let log = Log::new(tap, None);
    Serves { log: log.clone(), folder: folder.to_owned(), tls: None, new: None }.listen(HOST_PORTS);
    log.tell(&folder.join("host.sock"));
    until_input_ends();
    drop(input);
    drop(net.wait());
    // The last one out; nobody else is left to do it when a test was killed.
    drop(fs::remove_dir_all(folder));
}

fn net(folder: &Path) {
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    assert_eq!((read.ok(), line.as_str()), (Some(3), "go\n"), "HOST is ready");
    let tap = Tap::new(HOST_END_BYTES).unwrap_or_else(|error| panic!("packet socket: {error}"));
    let log = Log::new(tap, Some(Zone::usual()));
    let new = super::modern::start(folder).unwrap_or_else(|error| panic!("{error}"));
    let (own, new) = (folder.to_owned(), Some(new));
    let mut serves = Serves { log: log.clone(), folder: own, tls: None, new };
    let inner = serves.listen_inner().unwrap_or_else(|error| panic!("{error}"));
    let tls = tls_program(folder, inner);
    let (mut program, at) = tls.unwrap_or_else(|error| panic!("tls.py: {error}"));
    serves.tls = Some(at);
    serves.listen(NET_PORTS);
    serves.listen_datagrams();
    log.tell(&folder.join("net.sock"));
    until_input_ends();
    drop(program.stdin.take());
    drop(program.wait());
}

fn until_input_ends() {
    drop(std::io::stdin().lock().read_to_end(&mut Vec::new()));
}
