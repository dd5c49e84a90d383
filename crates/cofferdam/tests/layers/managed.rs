//! The managed policy: whose it must be, and what it forces.

use crate::places::{managed, says, trusted};
use crate::support::{Place, is_root};

/// A file that is there is never passed over.
#[test]
fn what_is_not_roots_alone_is_a_refusal() {
    let place = Place::new();
    let Some(ran) = managed(&place, "", "true", &["policy", "check"]) else { return };
    ran.works("as it should be");
    let dir = "/etc/cofferdam";
    let mut rows = vec![
        (format!("chmod 666 {dir}/policy.toml"), "managed-shared", "others write it"),
        (format!("chmod 664 {dir}/policy.toml"), "managed-shared", "a group writes it"),
        (format!("chmod 777 {dir}"), "managed-shared", "others replace it"),
        (format!("rm {dir}/policy.toml; mkdir {dir}/policy.toml"), "managed-unread", "a directory"),
        (
            format!("rm {dir}/policy.toml; mkfifo -m 644 {dir}/policy.toml"),
            "managed-unread",
            "a FIFO",
        ),
        (
            format!("cd {dir}; mv policy.toml x; ln -s nowhere policy.toml"),
            "managed-unread",
            "a link to nothing",
        ),
        (
            format!("mv {dir} /etc/moved && ln -s /nowhere {dir}"),
            "managed-unread",
            "a directory that is a link to nothing",
        ),
        (
            format!("chmod 777 /etc; chmod +t /etc; ls {dir} >/dev/null"),
            "managed-shared",
            "others write /etc",
        ),
        (
            format!(
                "mkdir -p $W/m && mv {dir}/policy.toml $W/m/ && chmod 777 $W/m && ln -s $W/m/policy.toml {dir}/policy.toml"
            ),
            "managed-shared",
            "a link into a directory of others",
        ),
        (format!("printf 'version = 2' > {dir}/policy.toml"), "version-unknown", "a broken one"),
        (format!("head -c 2000000 /dev/zero > {dir}/policy.toml"), "policy-too-long", "a long one"),
    ];
    if is_root() {
        rows.push((format!("chown 65534 {dir}/policy.toml"), "managed-shared", "another's"));
        rows.push((format!("chown 65534 {dir}"), "managed-shared", "another's directory"));
    }
    for (change, code, why) in rows {
        for words in [&["policy", "check"][..], &["run", "--", "touch", "started"]] {
            managed(&place, "", &change, words).unwrap().refused(code, why);
        }
        assert!(!place.work.join("started").exists(), "{why}: nothing ran");
    }
}

#[test]
fn mounts_are_judged_where_they_are_in_truth() {
    let place = Place::new();
    place.outside("ln -s $OUT $H/src/link && ln -s $H/src $H/way && mkdir $H/src/data").works("");
    let of = |list: &str| {
        format!("[managed]\nmounts = [{list}]").replace("$H", &place.home.display().to_string())
    };
    let src = of("{ path = \"$H/src\" }");
    let Some(ran) = managed(&place, &src, "true", &["policy", "check"]) else { return };
    ran.works("the workspace lies in it");
    let grant = |text: &str, path: &str, mode: &str, with: &str, why: &str| {
        let path = place.root.join(path).display().to_string();
        let users = format!(
            "version = 1\n[filesystem]\ngrant = [{{ path = \"{path}\", mode = \"{mode}\" }}]\n"
        );
        place.write("home/.config/cofferdam/policy.toml", &users);
        let ran = managed(&place, text, "true", &["policy", "check"]).unwrap();
        if with.is_empty() { ran.works(why) } else { ran.refused(with, why) }
    };
    grant(&src, "home/src/data", "read-write", "", "a grant beneath");
    grant(&src, "out", "read-only", "beyond-managed", "a grant elsewhere");
    grant("", "out", "read-only", "", "the twin");
    grant(&src, "home/src/link", "read-only", "symbolic-link", "a link out of it is no way around");
    let link = of("{ path = \"$H/way\" }");
    grant(
        &link,
        "home/src/data",
        "read-write",
        "managed-mount-link",
        "a managed mount leads through no link",
    );
    let read = of("{ path = \"$H/src\", mode = \"read-only\" }, { path = \"$H/src/app\" }");
    grant(&read, "home/src/data", "read-write", "beyond-managed", "more than a mount may");
    grant(&read, "home/src/data", "read-only", "", "as much");
}

/// Where the managed policy says so, everything is recorded there and nowhere else.
#[test]
fn a_managed_log_is_the_only_one() {
    if !is_root() {
        println!(
            "not run: a run below a managed policy: only root has one without a user namespace"
        );
        return;
    }
    let place = Place::new();
    let log = place.out.join("managed.jsonl").display().to_string();
    let text = format!("[managed]\naudit = \"{log}\"");
    let ran = |words: &[&str]| managed(&place, &text, "true", words).unwrap();
    ran(&["run", "--", "true"]).works("recorded where it must be");
    assert!(place.read("out/managed.jsonl").contains("\"layer\":\"managed\""));
    let before = place.read("out/managed.jsonl").lines().count();
    let other = place.out.join("mine.jsonl").display().to_string();
    ran(&["run", "--audit", &other, "--", "touch", "started"])
        .refused("managed-audit", "another log");
    assert!(!place.out.join("mine.jsonl").exists() && !place.work.join("started").exists());
    let after = place.read("out/managed.jsonl");
    assert!(after.lines().count() > before && after.contains("managed-audit"), "on record there");
    ran(&["run", "--audit", &log, "--", "true"]).works("the same one, named");
    ran(&["audit", "verify"]).works("what is looked at by default");
    assert!(!place.audit_log().exists(), "and none elsewhere");
}

/// A run below a ceiling: what holds is what a managed text says together with the others.
#[test]
fn a_run_below_a_ceiling() {
    if !is_root() {
        println!(
            "not run: a run below a managed policy: only root has one without a user namespace"
        );
        return;
    }
    let place = Place::new();
    place.write("home/src/app/secret", "s\n");
    place.write("home/src/app/mine", "m\n");
    trusted(&place, "version = 1\n[filesystem]\nhide = [\"mine\"]\n");
    let text = "[filesystem]\nhide = [\"secret\"]\n[limits]\nopen_files = 64\n[managed]\ndangerous = false";
    let script = "ulimit -n; cat mine; cat secret; echo ok > new";
    let words = ["run", "--", "sh", "-c", script];
    let ran = managed(&place, text, "true", &words).unwrap().works("it runs");
    assert!(ran.out.starts_with("64\n"), "the limit above: {ran:?}");
    assert!(!ran.out.contains('s') && !ran.out.contains('m'), "both hide: {ran:?}");
    let ran = says(&place, &["run", "--no-project", "--", "cat", "secret", "mine"]);
    assert_eq!(ran.works("the twin, without either").out, "s\nm\n");
    for flag in [["--limit", "open_files=65"], ["--output", "raw"], ["--dangerous-env", "X_TOKEN"]]
    {
        let words = [&["run"], &flag[..], &["--", "true"]].concat();
        managed(&place, text, "true", &words).unwrap().refused("beyond-managed", flag[0]);
    }
}

/// A doctor looks at the machine with a text of its own, whoever manages policies.
#[test]
fn a_ceiling_does_not_make_the_machine_ill() {
    if !is_root() {
        println!(
            "not run: doctor below a managed policy: only root has one without a user namespace"
        );
        return;
    }
    let place = Place::new();
    let text =
        "[managed]\nmounts = []\nonly = [\"filesystem.grant\", \"network.allow\", \"environment\"]";
    let with = managed(&place, text, "true", &["doctor", "--json"]).unwrap();
    let without = says(&place, &["doctor", "--json"]);
    assert_eq!(with.status, without.status, "{with:?}");
}
