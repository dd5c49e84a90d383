//! Ways around the ceiling that were open once.

use super::held;

const BEYOND: Option<&str> = Some("beyond-managed");

fn of(path: &str, mode: &str) -> String {
    format!("[filesystem]\ngrant = [{{ path = '{path}', mode = '{mode}' }}]")
}

/// What a managed rule narrows is still whose it was.
#[test]
fn who_asked_for_a_tree_answers_for_it() {
    let alone = "[filesystem]\nprotect = ['/srv']\n[managed]\nmounts = [{ path = '/home/u/w' }]";
    let both = alone.replace("}]", "}, { path = '/srv' }]");
    held(&[
        (alone, &of("/srv/a", "read-write"), BEYOND, "made read-only, and in no mount"),
        (&both, &of("/srv/a", "read-write"), None, "in a mount"),
        (
            "[filesystem]\nhide = ['/srv/a/s']\nprotect = ['/srv/a']",
            &of("/srv/a/s/x", "read-write"),
            BEYOND,
            "shows again, read-only",
        ),
        ("[filesystem]\nprotect = ['/srv/a']", &of("/srv/a/s/x", "read-write"), None, "the twin"),
    ]);
}

/// A name that may be anywhere is also the tree itself, and above it.
#[test]
fn a_name_that_may_be_anywhere_is_above_a_tree_too() {
    for list in ["hide", "mask"] {
        let managed = format!("[filesystem]\n{list} = ['**/S']");
        held(&[
            (&managed, &of("/srv/a/s", "read-only"), BEYOND, "the tree itself, in other letters"),
            (&managed, &of("/srv/a/s/x", "read-only"), BEYOND, "a tree below"),
            (&managed, &of("/srv/a", "read-only"), None, "one that holds it"),
        ]);
        let managed = format!("[filesystem]\n{list} = ['**/u']");
        held(&[(&managed, "", BEYOND, "the workspace")]);
    }
    let managed = "[filesystem]\nprotect = ['**/s']";
    held(&[
        (managed, &of("/srv/a/s", "read-write"), BEYOND, "written"),
        (managed, &of("/srv/a/s/x", "no-delete"), BEYOND, "written below"),
        (managed, &of("/srv/a/s/x", "read-only"), None, "read"),
        (managed, &of("/srv/a", "read-write"), None, "held inside"),
    ]);
}

#[test]
fn another_name_or_a_proxy_leads_to_no_denied_address() {
    let deny = "[[network.deny]]\nhost = '10.0.0.0/8'";
    let dial = |at: &str| format!("[[network.allow]]\nhost = 'a.test'\ndial = '{at}'");
    let proxy = "[network]\nupstream_proxy = 'http://p.test:1'";
    held(&[
        (deny, &dial("10.0.0.1:1"), BEYOND, "dialled"),
        (deny, &dial("192.168.0.1:1"), None, "another address"),
        ("[[network.deny]]\nhost = 'b.test'", &dial("10.0.0.1:1"), None, "no address is denied"),
        (deny, proxy, BEYOND, "nobody here sees what a proxy dials"),
        ("[[network.deny]]\nhost = 'b.test'", proxy, None, "names are told apart before it"),
        (&format!("{deny}\n{}", dial("10.0.0.1:1")), "", None, "its own"),
    ]);
}

#[test]
fn nobody_below_gives_up_what_is_managed() {
    let gives = |what: &str| format!("best_effort = ['{what}']");
    let jail = "jail = 'native'\n[managed]\nonly = ['jail']";
    held(&[
        ("[limits]\nprocesses = 9", &gives("process-limit"), BEYOND, "a limit"),
        ("[limits]\nprivate_size = '1GiB'", &gives("private-size"), BEYOND, "a size"),
        ("[limits]\nprocesses = 9", &gives("private-size"), None, "another one"),
        ("", &gives("process-limit"), None, "nothing is managed"),
        ("[managed]\nonly = ['limits']", &gives("process-limit"), BEYOND, "only limits"),
        (jail, &gives("absent"), BEYOND, "of a forced jail"),
        (&format!("{}\n{jail}", gives("absent")), &gives("absent"), None, "given up above"),
    ]);
}

#[test]
fn what_only_the_managed_text_says_is_said_nowhere_else() {
    let credential = "[credentials.x]\nsource = { env = 'X' }\ninject = { header = 'x-k' }";
    let hosts = "[[network.allow]]\nhost = 'a.test'";
    let bears = format!("{hosts}\ncredential = 'x'");
    let only = |what: &str| format!("[managed]\nonly = ['{what}']");
    let with = format!("{credential}\n{}", only("credentials"));
    held(&[
        (&with, &bears, BEYOND, "another host for a managed secret"),
        (&with, hosts, None, "a host without it"),
        (
            &only("environment"),
            &format!("{credential}\nenv = 'X_KEY'\n{bears}"),
            BEYOND,
            "a variable that holds a stand-in",
        ),
        (&only("environment"), &format!("{credential}\n{bears}"), None, "none"),
    ]);
}
