//! What a program needs of macOS to run at all, by name, each with what it serves; and what nobody gets.
//!
//! Facts are from public profiles and manuals: Chromium's `sandbox/policy/mac/common.sb`, Codex's
//! `seatbelt_base_policy.sbpl`, `sysctl(3)`, `hier(7)`. There is no wildcard in any list.

use super::Terminal;
use super::sbpl::{Filter, LOOK, Place, READ, RUN, Rule, Says, literal, subpath};

/// Mach services that may be looked up. Everything else is closed, `com.apple.trustd.agent` among it: who
/// has a certificate checked has the daemon fetch addresses that stand in it, past the gateway.
const SERVICES: &[(&str, &str)] = &[
    ("com.apple.system.opendirectoryd.libinfo", "getpwuid(3); Chromium, crbug.com/792228"),
    ("com.apple.logd", "os_log(3) goes on without waiting; Chromium, crbug.com/792229"),
    ("com.apple.system.logger", "syslog(3); Chromium, common.sb"),
];

/// Mach services that are named so that a person sees that they are closed.
const CLOSED: &[(&str, &str)] = &[
    ("com.apple.pasteboard.1", "the clipboard"),
    ("com.apple.trustd", "fetches what a certificate names, past the gateway"),
    ("com.apple.trustd.agent", "the same for a user"),
    ("com.apple.coreservices.launchservicesd", "open(1) starts programs outside"),
    ("com.apple.coreservices.appleevents", "tells other programs what to do"),
    ("com.apple.lsd.mapdb", "which program opens what"),
    ("com.apple.SecurityServer", "the keychain"),
    ("com.apple.securityd", "the keychain"),
    ("com.apple.mDNSResponder", "names are the gateway's"),
    ("com.apple.cfprefsd.agent", "preferences of every program"),
    ("com.apple.cfprefsd.daemon", "preferences of every program"),
    ("com.apple.tccd", "asks the person on behalf of others"),
    ("com.apple.windowserver.active", "the screen"),
];

/// Values of the kernel that may be read: what the machine is, and how many of what it has.
const VALUES: &[(&str, &str)] = &[
    ("hw.activecpu", "processors, for thread pools"),
    ("hw.byteorder", "sysctl(3)"),
    ("hw.cachelinesize", "sysctl(3)"),
    ("hw.cpufamily", "which instructions there are"),
    ("hw.cpufrequency_compat", "sysctl(3)"),
    ("hw.cputype", "which instructions there are"),
    ("hw.l1dcachesize", "sysctl(3)"),
    ("hw.l2cachesize", "sysctl(3)"),
    ("hw.logicalcpu", "processors, for thread pools"),
    ("hw.logicalcpu_max", "the same"),
    ("hw.machine", "uname(3)"),
    ("hw.memsize", "how much memory there is"),
    ("hw.ncpu", "sysconf(3)"),
    ("hw.nperflevels", "kinds of processors"),
    ("hw.pagesize", "getpagesize(3)"),
    ("hw.pagesize_compat", "the same for older programs"),
    ("hw.physicalcpu", "processors, for thread pools"),
    ("hw.physicalcpu_max", "the same"),
    ("kern.argmax", "sysconf(3); xargs(1)"),
    ("kern.hostname", "gethostname(3)"),
    ("kern.maxfilesperproc", "sysconf(3)"),
    ("kern.osproductversion", "which macOS it is"),
    ("kern.osrelease", "uname(3)"),
    ("kern.ostype", "uname(3)"),
    ("kern.osversion", "uname(3)"),
    ("kern.usrstack64", "where a thread's stack ends"),
    ("kern.version", "uname(3)"),
    ("sysctl.proc_cputype", "whether it runs translated"),
];

/// The system's own trees: what `dyld(1)` and every shell begins with. Read and run, whatever the
/// policy's own list of the system has.
pub const BASE: &[(&str, &str)] = &[
    ("/System/Library", "frameworks"),
    ("/System/Cryptexes", "the shared cache of libraries, from macOS 13"),
    ("/System/Volumes/Preboot/Cryptexes", "the same, where it lies"),
    ("/Library/Apple", "frameworks that come with updates"),
    ("/Library/Developer/CommandLineTools", "compilers, git"),
    ("/bin", "hier(7)"),
    ("/sbin", "hier(7)"),
    ("/usr/bin", "hier(7)"),
    ("/usr/lib", "dyld(1)"),
    ("/usr/libexec", "hier(7)"),
    ("/usr/sbin", "hier(7)"),
    ("/usr/share", "hier(7)"),
    ("/private/var/db/timezone", "tzset(3)"),
    ("/private/var/select", "which shell sh(1) is"),
];

/// Files of `/dev` that every program expects, and whether they are written.
pub const DEVICES: &[(&str, bool)] = &[
    ("/dev/null", true),
    ("/dev/zero", true),
    ("/dev/random", false),
    ("/dev/urandom", false),
    ("/dev/tty", true),
];

fn named(key: &'static str, list: &[(&str, &str)]) -> Vec<(Filter, String)> {
    let one = |(name, why): &(&str, &str)| (Filter::Named(key, (*name).into()), (*why).into());
    list.iter().map(one).collect()
}

/// Processes, services and values.
pub(super) fn needed() -> Vec<Rule> {
    let own = || [Filter::Symbol("target", "same-sandbox")];
    let allow = |operations: &'static str, why: &str| Rule {
        says: Says::Allow,
        operations: vec![operations],
        filters: Vec::new(),
        why: why.into(),
    };
    vec![
        allow("process-fork", "children are under the same profile"),
        allow("signal", "kill(2) within the sandbox").about(own()),
        allow("process-info*", "ps(1) within the sandbox").about(own()),
        allow("mach-lookup", "services, each by its name")
            .about_each(named("global-name", SERVICES)),
        allow("sysctl-read", "values, each by its name").about_each(named("sysctl-name", VALUES)),
    ]
}

/// The system's trees.
pub(super) fn base() -> Vec<Rule> {
    let trees = BASE.iter().map(|(path, why)| (subpath(*path), (*why).to_owned()));
    let root = [(literal("/"), String::new())];
    vec![
        Rule::new(Says::Allow, &[READ], "dyld(1) looks at the root").about_each(root),
        Rule::new(Says::Allow, &[READ, RUN], "the system's trees").about_each(trees),
    ]
}

/// Devices and the session's terminal.
pub(super) fn devices(terminal: Terminal) -> Vec<Rule> {
    let every = DEVICES.iter().map(|(path, _)| literal(*path)).chain([subpath("/dev/fd")]);
    let written = DEVICES.iter().filter(|(_, written)| *written).map(|(path, _)| literal(*path));
    let written = written.chain([subpath("/dev/fd")]);
    let its = || {
        let line = Filter::Regex("^/dev/ttys[0-9]+$".into());
        let made = Filter::Named("extension", "com.apple.sandbox.pty".into());
        [literal("/dev/ptmx"), Filter::All(vec![line, made])]
    };
    let data: &[&str] = &["file-write-data"];
    let ioctl: &[&str] = &["file-ioctl"];
    let mut all = vec![
        Rule::new(Says::Allow, &[READ], "devices").about(every),
        Rule::new(Says::Allow, &[data], "devices").about(written),
        Rule::new(Says::Allow, &[&["pseudo-tty"]], "openpty(3)"),
        Rule::new(Says::Allow, &[READ, data, ioctl], "terminals that it has made itself")
            .about(its()),
        Rule::new(Says::Allow, &[ioctl], "tcgetattr(3)").about([literal("/dev/tty")]),
        Rule::new(Says::Allow, &[LOOK], "on the way to devices").about([literal("/dev")]),
    ];
    if terminal == Terminal::Own {
        let line = Filter::Literal(Place::Parameter("TTY"));
        all.push(
            Rule::new(Says::Allow, &[READ, data, ioctl], "the session's terminal").about([line]),
        );
    }
    all
}

/// What is closed whatever else is written. A macOS that does not know one of these operations refuses
/// the profile, and nothing runs.
pub(super) fn closed() -> Vec<Rule> {
    let deny =
        |operations: &'static [&'static str], why: &str| Rule::new(Says::Deny, &[operations], why);
    vec![
        deny(&["file-link", "file-clone"], "a second name would have other rules"),
        deny(&["file-write-setugid", "file-mknod"], "no setuid file, no device"),
        deny(&["file-issue-extension"], "no right is handed on"),
        deny(&["appleevent-send"], "tells other programs what to do"),
        deny(&["lsopen", "job-creation"], "starts programs outside"),
        deny(&["authorization-right-obtain"], "asks the person for more"),
        deny(&["iokit-open"], "no driver of the kernel is needed"),
        deny(&["mach-register"], "serves nobody outside"),
        deny(&["mach-lookup"], "services that are closed").about_each(named("global-name", CLOSED)),
    ]
}
