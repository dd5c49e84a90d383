//! K41: the clipboard, other programs, LaunchServices, the keychain and trustd are closed in every profile,
//! and no list of services has a wildcard.

use std::collections::BTreeMap;

use cofferdam_plan::seatbelt::{Gateway, Session, Terminal, compile};

use crate::ask::evaluator::{Act, Filter, Profile, Reading, Verdict};
use crate::ask::{HOME, SESSION, TMP, TTY, read};
use crate::cases::policy;

/// Services and operations that lead out.
const SERVICES: &[&str] = &[
    "com.apple.pasteboard.1",
    "com.apple.coreservices.appleevents",
    "com.apple.coreservices.launchservicesd",
    "com.apple.lsd.mapdb",
    "com.apple.lsd.open",
    "com.apple.trustd",
    "com.apple.trustd.agent",
    "com.apple.SecurityServer",
    "com.apple.securityd.xpc",
    "com.apple.mDNSResponder",
    "com.apple.dnssd.service",
    "com.apple.tccd",
    "com.apple.windowserver.active",
    "com.apple.xpc.smd",
    "com.nobody.knows",
];
const OPERATIONS: &[&str] = &[
    "appleevent-send",
    "lsopen",
    "job-creation",
    "authorization-right-obtain",
    "mach-register",
    "iokit-open",
    "system-socket",
    "file-issue-extension",
    "user-preference-write",
    "mach-priv-host-port",
];

/// What of a profile leads out, in words.
fn leads_out(profile: &Profile) -> Vec<String> {
    let mut out = Vec::new();
    let allows = |act: &Act<'_>| {
        let each = [Reading::InOrder, Reading::NearestFirst].map(|one| profile.reads(act, one));
        each.contains(&Verdict::Allow)
    };
    for name in SERVICES {
        let act = Act { operation: "mach-lookup", name: Some(name), ..Act::default() };
        out.extend(allows(&act).then(|| (*name).to_owned()));
    }
    for operation in OPERATIONS {
        let act = Act { operation, path: Some("/usr/bin/true"), ..Act::default() };
        out.extend(allows(&act).then(|| (*operation).to_owned()));
    }
    let allows = profile.rules().iter().filter(|rule| rule.verdict == Verdict::Allow);
    for rule in allows {
        let open = |class: &str| rule.operations.iter().any(|one| one.starts_with(class));
        let named = |filter: &Filter| matches!(filter, Filter::Name(name) if !name.contains('*'));
        let lists = open("mach") || open("sysctl") || open("iokit") || open("ipc");
        if lists && (rule.filters.is_empty() || !rule.filters.iter().all(named)) {
            out.push(format!("a wildcard: {:?}", rule.operations));
        }
        let whole = ["default", "mach*", "network*", "file*", "process*", "network-outbound"];
        let whole = rule.operations.iter().any(|one| whole.contains(&one.as_str()));
        if whole && rule.filters.is_empty() {
            out.push(format!("everything: {:?}", rule.operations));
        }
    }
    out
}

#[test]
fn k41_no_profile_leads_out_by_a_service() {
    let texts = [
        "",
        "[[network.allow]]\nhost = '*.a.test'\n",
        "[sockets]\nallow = ['a.sock']\n[filesystem]\nhide = ['**/*.pem']\n",
        "[network]\npublish = ['8080']\n[filesystem]\ngrant = [{ path = '/srv/data', mode = 'read-write' }]\n",
    ];
    for text in texts {
        for terminal in [Terminal::Own, Terminal::None] {
            let session = Session { terminal, gateway: Gateway { http: 1, socks: 2 }, mark: 3 };
            let seatbelt = compile(&policy(text), &session).unwrap();
            assert_eq!(leads_out(&read(&seatbelt)), Vec::<String>::new(), "{text}");
        }
    }
}

/// The twin: a profile with any of these is noticed.
#[test]
fn k41_a_profile_that_leads_out_is_noticed() {
    let good = compile(&policy(""), &SESSION).unwrap().profile;
    let parameters = [("HOME", HOME), ("TMP", TMP), ("TTY", TTY)];
    let parameters: BTreeMap<String, String> =
        parameters.map(|(name, value)| (name.into(), value.into())).into();
    for (added, what) in [
        ("(allow mach-lookup (global-name \"com.apple.pasteboard.1\"))", "com.apple.pasteboard.1"),
        ("(allow mach-lookup (global-name-prefix \"com.apple.\"))", "com.apple.trustd.agent"),
        ("(allow mach-lookup (global-name-regex #\"^com\"))", "a wildcard"),
        ("(allow mach-lookup)", "com.nobody.knows"),
        ("(allow mach*)", "a wildcard"),
        ("(allow appleevent-send)", "appleevent-send"),
        ("(allow lsopen)", "lsopen"),
        ("(allow sysctl-read)", "a wildcard"),
        ("(allow iokit-open)", "iokit-open"),
        ("(allow network-outbound)", "everything"),
    ] {
        let profile = Profile::new(&format!("{good}{added}\n"), &parameters).unwrap();
        let out = leads_out(&profile);
        assert!(out.iter().any(|one| one.starts_with(what)), "{added}: {out:?}");
    }
}
